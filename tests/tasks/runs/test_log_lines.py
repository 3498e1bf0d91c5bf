"""A run's log has its story, not Prefect's bookkeeping."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tasks.runs.log_lines import NoBookkeeping, leave_out_bookkeeping

LOGGER = logging.getLogger("prefect.task_runs")


@pytest.fixture
def restored() -> Iterator[None]:
    """The filters of the logger as they were."""
    before = list(LOGGER.filters)
    yield
    LOGGER.filters[:] = before


@pytest.mark.parametrize(
    ("level", "said", "kept"),
    [
        (logging.INFO, "Finished in state Completed()", False),
        (logging.INFO, "Finished in state Completed('73.5% on 117 pictures')", True),
        (logging.INFO, "Finished in state Failed('no')", True),
        (logging.INFO, "Running hook 'close_run' in response to entering state 'Completed'", False),
        (logging.INFO, "Hook 'close_run' finished running successfully", False),
        (logging.ERROR, "Hook 'close_run' …", True),
        (logging.INFO, "64 of 64 trials done", True),
    ],
)
def test_what_a_log_keeps(level: int, said: str, kept: bool) -> None:
    record = logging.LogRecord("prefect.task_runs", level, "", 0, said, None, None)
    assert NoBookkeeping().filter(record) == kept


def test_loggers_are_filtered_once(restored: None) -> None:
    leave_out_bookkeeping()
    known = list(LOGGER.filters)
    leave_out_bookkeeping()
    assert LOGGER.filters == known
    assert [type(each) for each in known].count(NoBookkeeping) == 1
