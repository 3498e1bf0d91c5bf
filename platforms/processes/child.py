"""A child of ours that we did not start: forked before this program was executed (Linux)."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from typing import Protocol


class Child(Protocol):
    """What supervisors need of a process: :class:`subprocess.Popen` has it, too."""

    @property
    def pid(self) -> int:
        """Its id."""

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code, or the negative number of the signal that ended it.

        Raises:
            subprocess.TimeoutExpired: it still runs after ``timeout`` seconds.
        """

    def poll(self) -> int | None:
        """Return as :meth:`wait`; None while it runs."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal; does nothing when it has ended."""


class InheritedChild:
    """A :class:`Child` of which only the id is known."""

    def __init__(self, pid: int) -> None:
        """Take over the child ``pid``.

        Raises:
            OSError: it is no child of this process.
        """
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        self._pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._code: int | None = None

    @property
    def pid(self) -> int:
        """Its id."""
        return self._pid

    def wait(self, timeout: float | None = None) -> int:
        """See :class:`Child`."""
        if self._code is None:
            milliseconds = None if timeout is None else 1000 * timeout
            ready = select.poll()
            ready.register(self._descriptor, select.POLLIN)
            if not ready.poll(milliseconds):
                raise subprocess.TimeoutExpired(str(self._pid), timeout or 0.0)
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
            os.close(self._descriptor)
        return self._code

    def poll(self) -> int | None:
        """See :class:`Child`."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int, /) -> None:
        """See :class:`Child`."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, number)
