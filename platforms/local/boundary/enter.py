"""Run one command inside a boundary of Linux namespaces: ``python -I -S enter.py ORDER``.

Run by path. Everything is in modules beside this one, which Python keeps compiled; what they import
costs each job a millisecond or more, so they import next to nothing. See ``inside.py``.
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
