"""What a run's log leaves out: Prefect's lines about our hooks, and those that say nothing."""

from __future__ import annotations

import logging

_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
_HOOKS = ("Running hook '", "Hook '")
# Of each task, without a name: its state is on the page of the run. With a message it is told.
_SILENT = "Finished in state Completed()"


class NoBookkeeping(logging.Filter):
    """Pass what a reader of a run's log wants to know; warnings and errors always."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the log gets a record."""
        said = record.getMessage()
        return record.levelno > logging.INFO or not (said == _SILENT or said.startswith(_HOOKS))


_FILTER = NoBookkeeping()


def leave_out_bookkeeping() -> None:
    """Filter the loggers of flow runs and task runs of this process; once, however often called."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
