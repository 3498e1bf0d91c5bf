from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.schemas.objects import State, StateType

from tasks.cancelling.history import cancel_asked

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def asked_at(history: str) -> int | None:
    """Return the place of the state since when a run is to end."""
    states = [
        State(type=StateType[name], timestamp=BEGAN + timedelta(seconds=second))
        for second, name in enumerate(history.split())
    ]
    found = cancel_asked(reversed(states))  # the server's order is not promised
    return None if found is None else int((found - BEGAN).total_seconds())


@pytest.mark.parametrize(
    ("history", "place"),
    [
        ("", None),
        ("SCHEDULED PENDING RUNNING", None),
        ("RUNNING COMPLETED", None),
        ("RUNNING CRASHED SCHEDULED PENDING RUNNING CRASHED", None),
        ("RUNNING PAUSED SCHEDULED RUNNING", None),
        ("RUNNING CANCELLING", 1),
        ("RUNNING CANCELLING CANCELLED", 1),
        ("SCHEDULED CANCELLED", 1),
        # The worker had died: whoever dies last writes the state.
        ("RUNNING CANCELLING CRASHED", 1),
        ("RUNNING CANCELLING CRASHED CRASHED", 1),
        ("RUNNING CANCELLING FAILED", 1),
        # An engine that had just begun.
        ("PENDING CANCELLING RUNNING", 1),
        # What recover-runs did once, and what SIGTERM may do.
        ("RUNNING CANCELLING CRASHED SCHEDULED PENDING RUNNING", 1),
        ("RUNNING CANCELLING SCHEDULED RUNNING COMPLETED", 1),
        # Somebody wants it after all.
        ("RUNNING CANCELLING CANCELLED SCHEDULED PENDING RUNNING", None),
        ("RUNNING CANCELLING CANCELLED SCHEDULED RUNNING CRASHED", None),
        ("RUNNING CANCELLING CANCELLED SCHEDULED RUNNING CANCELLING CRASHED", 5),
    ],
)
def test_since_when_a_run_is_to_end(history, place):
    assert asked_at(history) == place
