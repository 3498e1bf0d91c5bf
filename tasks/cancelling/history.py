"""Whether somebody asked to cancel a flow run, judged by all its past states."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prefect.client.schemas.objects import State, StateType

CANCELS = (StateType.CANCELLING, StateType.CANCELLED)


def cancel_asked(states: Iterable[State[object]]) -> datetime | None:
    """Return since when a run has been cancelled, whatever its current state; None if it is not.

    A process that dies overwrites Cancelling with Crashed, and an engine that starts, with Running.
    Only rescheduling a run that had ended Cancelled revokes the cancel.
    """
    since: datetime | None = None
    before = None
    for state in sorted(states, key=lambda each: each.timestamp):
        if state.type in CANCELS:
            since = since or state.timestamp
        elif state.type is StateType.SCHEDULED and before is StateType.CANCELLED:
            since = None
        before = state.type
    return since
