"""What holds while a flow runs other flows as its parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings


@contextmanager
def parts_of_a_run() -> Iterator[None]:
    """Let no subflow give signs of life of its own: the run gives them, and who looks, looks there.

    A flow that gives them waits at its end for the thread that does so, for up to a second.
    """
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
