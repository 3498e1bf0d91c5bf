"""Run by the job's Python before any script: import what jobs import, wait, become a job.

When this returns, this process is the job's, and Python goes on with its script as after any start.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from platforms.local.warm_start.inner import whippet_warm_start
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import whippet_warm_start

if __name__ == "sitecustomize":  # as Python imports it when it starts
    whippet_warm_start.main()
