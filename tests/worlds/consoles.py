"""The console's handlers, which belong to the whole process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("prefect", "prefect.flow_runs", "prefect.task_runs", "prefect.extra", "")


@contextmanager
def handlers_as_they_were() -> Iterator[None]:
    """Give every handler its filters and its formatter back, whatever a command did to them."""
    before = {
        handler: (list(handler.filters), handler.formatter)
        for name in _LOGGERS
        for handler in logging.getLogger(name).handlers
    }
    try:
        yield
    finally:
        for handler, (filters, formatter) in before.items():
            handler.filters, handler.formatter = filters, formatter
