"""Who is asked where a run has no deployment: somebody at the terminal of its own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tasks.approval.question import Question, Reply

# ``look`` is called every few seconds of the wait; it raises when the run was cancelled.
Asker = Callable[[Question, Callable[[], None]], Reply]
_ASKER: ContextVar[Asker | None] = ContextVar("asker", default=None)


@contextmanager
def asked_by(asker: Asker) -> Iterator[None]:
    """Let flows that run inside of the block ask ``asker``."""
    token = _ASKER.set(asker)
    try:
        yield
    finally:
        _ASKER.reset(token)


def asker() -> Asker | None:
    """Return who may be asked in this process, if anybody."""
    return _ASKER.get()
