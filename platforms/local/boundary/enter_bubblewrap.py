"""Run bubblewrap, and forward the signals that it does not. Run by path, standard library only.

``python -I -S enter_bubblewrap.py PROBLEM BWRAP [OPTION...]``. bubblewrap dies at SIGTERM and takes
the command with it, although the command should get the signal. This program ends with the
command's exit code. If there is none, the file PROBLEM has what is known, and the exit code is 125.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn
else:
    import _signal as signal

FORWARDED = (signal.SIGTERM, signal.SIGINT)
SETUP_FAILED = 125


def _first_child(parent: int) -> int | None:
    """Return the oldest child of a process: all later ones of process 1 are orphans."""
    children = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:  # proc(5): 4th field; the 22nd is when it started
                children.append((int(fields[19]), int(name)))
    return min(children)[1] if children else None


def _number(text: bytes, key: bytes) -> int | None:
    """Return the number of ``"key": N`` in bubblewrap's status lines."""
    after = text.partition(b'"%s":' % key)[2].lstrip()
    digits = after[: len(after) - len(after.lstrip(b"0123456789"))]
    return int(digits) if digits else None


class _Watch:
    """bubblewrap's own process, and what it reported about the one inside."""

    def __init__(self, process: int, status: int) -> None:
        self._process = process
        self._status = status
        self.said = b""

    def read(self) -> bool:
        """Read what bubblewrap says next; tell whether there will be more."""
        part = os.read(self._status, 4096)
        self.said += part
        return bool(part)

    def send(self, number: int, frame: object) -> None:
        """Signal the command; before there is one, end bubblewrap."""
        first = _number(self.said, b"child-pid")
        command = _first_child(first) if first else None
        try:
            os.kill(command or self._process, number)
        except ProcessLookupError:
            return


def main(problem: str, *command: str) -> NoReturn:
    """Run ``command``, which is bubblewrap's; see the module's docstring."""
    status, theirs = os.pipe()
    os.set_inheritable(theirs, True)
    options = [command[0], "--json-status-fd", str(theirs), *command[1:]]
    process = os.fork()
    if process == 0:
        os.setpgid(0, 0)
        os.execv(options[0], options)
    os.close(theirs)
    watch = _Watch(process, status)
    for number in FORWARDED:
        signal.signal(number, watch.send)
    while watch.read():
        pass
    os.waitpid(process, 0)
    code = _number(watch.said, b"exit-code")
    if code is None:
        with open(problem, "w", encoding="utf-8") as file:
            file.write("bubblewrap could not start the command; its message is in the log")
        code = SETUP_FAILED
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
