from __future__ import annotations

import io
import logging

import pytest

from cli.console import OnlyOurs, Short, quiet_console
from tests.worlds.consoles import handlers_as_they_were


def line(text: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("prefect.flow_runs", level, "f.py", 1, text, (), None)


@pytest.mark.parametrize(
    "text",
    [
        "Beginning flow run 'x' for flow 'release-model'",
        "View at http://127.0.0.1:4200/runs/flow-run/1",
        "Finished in state Completed()",
        "Running hook 'note_completed' in response to entering state 'Completed'",
        "Hook 'note_completed' finished running successfully",
        "Created task run 'check data-0'",
    ],
)
def test_bookkeeping_is_not_shown(text):
    assert not OnlyOurs().filter(line(text))


@pytest.mark.parametrize("text", ["data photos: 6 uploaded", "epoch 1 of 4: finished", "100%"])
def test_what_our_tasks_say_is_shown(text):
    assert OnlyOurs().filter(line(text))
    assert OnlyOurs().filter(line(text, logging.WARNING))
    assert not OnlyOurs().filter(line(text, logging.ERROR)), "errors are said once, at the end"


def test_a_line_is_time_and_text():
    record = line("data %s")
    record.args = ("é",)
    assert Short().format(record)[8:] == "  data é"
    record.levelno, record.levelname = logging.WARNING, "WARNING"
    assert Short().format(record).endswith("  data é  [warning]")


def test_console_handlers_are_filtered_and_others_are_not():
    logger = logging.getLogger("prefect.flow_runs")
    console, kept = logging.StreamHandler(io.StringIO()), logging.Handler()
    logger.addHandler(console)
    logger.addHandler(kept)
    try:
        with handlers_as_they_were():
            quiet_console()
            assert any(isinstance(found, OnlyOurs) for found in console.filters)
            assert isinstance(console.formatter, Short)
            assert kept.filters == []
        assert console.filters == []
    finally:
        logger.removeHandler(console)
        logger.removeHandler(kept)
