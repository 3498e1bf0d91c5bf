"""The end of a run has no say in how it ended, and is said once for all of its flows."""

from __future__ import annotations

import logging
from uuid import UUID, uuid4

from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from tasks.run_end import close_accounts


def flow_run(parent: UUID | None = None) -> FlowRun:
    return FlowRun(flow_id=uuid4(), name="demo", parent_task_run_id=parent)


def test_a_subflow_says_nothing(monkeypatch, caplog):
    monkeypatch.setenv("WHIPPET_PLATFORM", "no such platform")  # asking would fail
    close_accounts(flow_run(uuid4()), None)
    assert caplog.records == []


def test_what_cannot_be_found_out_is_a_warning(monkeypatch, caplog):
    monkeypatch.setenv("WHIPPET_PLATFORM", "aws")
    for name in ("WHIPPET_REGION", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with caplog.at_level(logging.WARNING, logger="prefect.flow_runs"):
        monkeypatch.setattr(logging.getLogger("prefect.flow_runs"), "propagate", True)
        monkeypatch.setattr(logging.getLogger("prefect"), "propagate", True)
        with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}):
            close_accounts(flow_run(), None)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("what still bills is not known (no AWS region")
    assert said.endswith("see `whippet endpoints`")
