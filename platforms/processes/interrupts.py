"""Interrupts that no library can lose: each Ctrl-C and SIGTERM is noted before it is raised.

An interrupt is an exception that may come between any two instructions. Libraries then raise
something else (Prefect's engine: ``ValueError: Task run is not set``) or go on as if nothing had
happened. Whoever waits, and whoever ends the process, therefore asks :func:`interrupted`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType, TracebackType

_Handler = Callable[[int, FrameType | None], object]
_noted = threading.Event()


class NotedInterrupts(AbstractContextManager[None]):
    """Answers each of the signals as Ctrl-C is answered, and notes that it came.

    An error that leaves it after that is the interrupt, with that error as its cause. At the end
    the handlers of before come back, and the outermost of nested ones forgets what was noted.
    Outside of the main thread, which has no signals, nothing changes.

    Example:
        >>> import os, signal
        >>> from platforms.processes.interrupts import NotedInterrupts
        >>> try:
        ...     with NotedInterrupts(signal.SIGTERM):
        ...         try:
        ...             os.kill(os.getpid(), signal.SIGTERM)
        ...         finally:
        ...             {}["a library that stumbles over it"]
        ... except KeyboardInterrupt as interrupt:
        ...     print("interrupted:", repr(interrupt.__cause__))
        interrupted: KeyError('a library that stumbles over it')
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers
        self._before: dict[signal.Signals, signal.Handlers | int | _Handler | None] = {}
        self._outermost = False

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._outermost = signal.getsignal(signal.SIGINT) is not _note
            self._before = {number: signal.signal(number, _note) for number in self._numbers}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        noted = interrupted()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._outermost:
            _noted.clear()
        if noted and isinstance(error, Exception):
            raise KeyboardInterrupt from error


def interrupted() -> bool:
    """Say whether an interrupt was noted, whatever has become of it since."""
    return _noted.is_set()


def end_if_interrupted() -> None:
    """Raise the interrupt once more if one was noted, and somebody lost it.

    Raises:
        KeyboardInterrupt: there was one.
    """
    if _noted.is_set():
        raise KeyboardInterrupt


def _note(number: int, frame: FrameType | None) -> None:
    _noted.set()
    raise KeyboardInterrupt
