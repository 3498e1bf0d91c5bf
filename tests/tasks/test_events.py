"""Events of runs: emitted once about each thing, with the labels by which automations choose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.variables import Variable

from dashboards.files.findings import Verdict
from platforms import Settings
from tasks import events
from tasks.runs.names import RunIdentity
from tasks.runs.record import open_run, read_run, record
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import Evaluation, LedgerEntry
from tasks.telling.limits import LIMITS_VARIABLE, Limits
from tests.worlds.run_records import deployed

VERDICT = Verdict(
    sentence="The loss became nan",
    severity="error",
    rule="LossNotDecreasing",
    evidence=(),
    change={},
    advice="",
    gain="",
    reasoning="",
    others=(),
)


@pytest.fixture
def run(whippet_home) -> RunIdentity:
    return open_run(Settings(), "0b0c1f3e-3e6c-4a0e-8f5e-0a6f0f6f0a01", "pets", {}, resume=False)


@pytest.fixture
def emitted(monkeypatch) -> list[dict[str, Any]]:
    """What goes to the server, in place of it."""
    found: list[dict[str, Any]] = []

    def emit(event: str, resource: dict[str, str], **more: Any) -> None:
        found.append({"event": event, "resource": resource, **more})

    monkeypatch.setattr(events, "emit_event", emit)
    return found


def spent(run: RunIdentity, job: str, usd: str) -> None:
    entry = LedgerEntry(
        job=job,
        stage="train",
        status="Completed",
        instance_type="ml.m5.xlarge",
        instance_count=1,
        billable_seconds=10,
        spot_saving=0,
        usd=Decimal(usd),
        price="table",
    )
    record(Settings(), run, RunFacts(ledger={job: entry}))


def test_a_verdict_is_told_once_with_its_severity(run, emitted):
    record(Settings(), run, RunFacts(report="/runs/pets/report.html"))
    for _ in range(3):  # as a run that is resumed tells it
        events.tell_verdict(run, "pets-train", VERDICT)
    events.tell_verdict(run, "pets-train", None)
    (event,) = emitted
    assert event["event"] == "whippet.verdict"
    assert event["resource"]["prefect.resource.id"] == "whippet.run.pets"
    assert event["resource"]["whippet.severity"] == "error"
    assert event["payload"]["sentence"] == "The loss became nan."
    assert event["payload"]["report"] == "/runs/pets/report.html"
    assert [each["prefect.resource.id"] for each in event["related"]] == [
        f"prefect.flow-run.{run.flow_run_id}"
    ]
    events.tell_verdict(run, "pets-train-2", VERDICT)
    assert len(emitted) == 2


def test_a_cost_says_whether_it_is_above_the_limit(run, emitted, monkeypatch):
    monkeypatch.setattr(events, "limits", lambda: Limits(cost_usd=2))
    events.tell_cost(run, read_run(Settings(), run.name))
    assert emitted == []
    for job, usd in (("a", "1.50"), ("b", "0.50"), ("c", "0.01")):
        spent(run, job, usd)
        events.tell_cost(run, read_run(Settings(), run.name))
    assert [each["resource"]["whippet.above-limit"] for each in emitted] == ["no", "no", "yes"]
    assert [each["payload"]["usd"] for each in emitted] == [1.5, 2.0, 2.01]
    assert "at the prices of AWS" in emitted[0]["payload"]["title"]


def test_a_deployment_says_how_good_and_how_long(run, emitted):
    record(Settings(), run, RunFacts(evaluation=Evaluation(accuracy=0.735, samples=117)))
    model = deployed("pets-endpoint", "2026-11-27T04:15")
    events.tell_deployed(run, model, read_run(Settings(), run.name))
    (event,) = emitted
    assert event["event"] == "whippet.model.deployed"
    said = "Endpoint pets-endpoint is up until 2026-11-27 04:15 UTC, 73.5% right in the test."
    assert event["payload"]["sentence"] == said


def test_only_endpoints_that_end_soon_are_told_of(run, emitted, monkeypatch):
    now = datetime.now(UTC)

    def endpoint(name: str, minutes: float, of: str = "pets") -> SimpleNamespace:
        expires = now + timedelta(minutes=minutes)
        return SimpleNamespace(name=name, run=of, expires=expires, expired=lambda at: expires <= at)

    listed = [endpoint("soon", 30), endpoint("later", 300), endpoint("theirs", 30, "unknown")]
    monkeypatch.setattr(events, "list_endpoints", lambda platform: listed)
    monkeypatch.setattr(events, "limits", Limits)
    monkeypatch.setattr(events, "get_run_logger", lambda: SimpleNamespace(info=lambda *_: None))
    assert events.tell_of_ending_endpoints.fn() == ["soon"]
    assert events.tell_of_ending_endpoints.fn() == []
    assert [each["payload"]["endpoint"] for each in emitted] == ["soon"]


@pytest.mark.slow
def test_limits_are_those_of_the_server_or_the_defaults(prefect_server):
    assert events.limits() == Limits()
    Variable.set(LIMITS_VARIABLE, {"cost_usd": 1.5, "endpoint_minutes": 5}, overwrite=True)
    assert events.limits() == Limits(cost_usd=1.5, endpoint_minutes=5)
    Variable.set(LIMITS_VARIABLE, {"cost_eur": 1}, overwrite=True)
    assert events.limits() == Limits()
    Variable.unset(LIMITS_VARIABLE)
