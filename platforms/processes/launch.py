"""Start one process and leave: the middle one of a double fork. Run by path, standard library only.

Reads ``{"argv", "env", "cwd", "log"}`` as JSON from stdin; prints ``{"pid"}`` or ``{"error"}``.
Because this process ends at once, init adopts the process it starts, which is therefore no child of
the caller, survives it, and leaves it no zombie.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys


def main() -> None:
    """Start the process that stdin describes in a session of its own."""
    order = json.load(sys.stdin)
    try:
        with open(order["log"], "ab") as log:  # noqa: PTH123 - pathlib would double the start-up
            process = subprocess.Popen(
                order["argv"],
                env=order["env"],
                cwd=order["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        answer: dict[str, object] = {"error": str(error)}
    else:
        answer = {"pid": process.pid}
    print(json.dumps(answer), flush=True)
    os._exit(0)  # No waiting for the child, and no complaint that it still runs.


if __name__ == "__main__":
    main()
