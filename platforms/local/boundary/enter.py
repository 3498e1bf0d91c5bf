"""Run one command inside a boundary of Linux namespaces: ``python -I -S enter.py ORDER``.

Run by path. The code is in modules beside this one, because Python caches compiled modules only.
Every import costs each job a millisecond or more, so they import very little. See ``inside.py``.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from platforms.local.boundary.inside import main
else:
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    from inside import main

if __name__ == "__main__":
    main(sys.argv[1])
