"""Interrupts that no library can lose: each Ctrl-C and SIGTERM is noted before it is raised.

An interrupt is an exception that may come between any two instructions. Libraries then raise
something else (Prefect's engine: ``ValueError: Task run is not set``) or go on as if nothing had
happened. Whoever waits, and whoever ends the process, therefore asks :func:`interrupted`.

What must not be left half done, such as stopping what bills, goes into :func:`uninterrupted`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, TracebackType

_Handler = Callable[[int, FrameType | None], object]
_noted = threading.Event()
_BOTH = (signal.SIGINT, signal.SIGTERM)


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

    def __init__(self, *numbers: signal.Signals, said: str | None = None) -> None:
        """Answer ``numbers``; the first of them is told as ``said`` on standard error, at once."""
        self._numbers = numbers
        self._said = said
        self._before: dict[signal.Signals, signal.Handlers | int | _Handler | None] = {}
        self._outermost = False

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._outermost = not any(
                isinstance(signal.getsignal(number), _Note) for number in _BOTH
            )
            note = _Note(self._said)
            self._before = {number: signal.signal(number, note) for number in self._numbers}

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


@contextmanager
def uninterrupted(said: str) -> Iterator[None]:
    """Let a block end before an interrupt takes effect; each one is answered with ``said``.

    Ctrl-\\ (SIGQUIT) and SIGKILL still end the process. Outside of the main thread, which has no
    signals, nothing changes.

    Raises:
        KeyboardInterrupt: one came, and the block ended well.
    """
    before = {number: signal.getsignal(number) for number in _BOTH}
    main = threading.current_thread() is threading.main_thread()
    if not main or isinstance(before[signal.SIGINT], _Answer):  # inside of another one
        yield
        return
    answer = _Answer(said, noted=isinstance(before[signal.SIGINT], _Note))
    try:
        for number in _BOTH:
            signal.signal(number, answer)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if answer.came:
        raise KeyboardInterrupt


class _Answer:
    """The handler of :func:`uninterrupted`."""

    def __init__(self, said: str, *, noted: bool) -> None:
        self._said, self._noted = said, noted
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        if self._noted:
            _noted.set()
        _say(self._said)


class _Note:
    """The handler: notes a signal, says so the first time, and raises the interrupt."""

    def __init__(self, said: str | None) -> None:
        self._said = said

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._said is not None and not _noted.is_set():
            _say(self._said)
        _noted.set()
        raise KeyboardInterrupt


def _say(sentence: str) -> None:
    # Not print(): the interrupted code may be inside of it.
    try:
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{sentence}\n".encode())
    except (OSError, ValueError):  # Nobody reads it any more.
        return
