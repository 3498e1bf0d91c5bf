"""The comparison of an improvement never passes its cap, nor what the run's own cap leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from platforms.errors import ParameterError
from tasks.costs.cap import BudgetError
from tasks.costs.comparison_cap import Allowance, allowance, held_to
from tasks.costs.prices import table_prices
from tasks.costs.worst_case import jobs_usd
from tasks.runs.record_model import RunRecord
from tests.worlds.platforms import fake_platform
from tests.worlds.run_records import run_record

PRICES = table_prices([("ml.m5.xlarge", "training")])
RESOURCES = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}
JOB = {"ResourceConfig": RESOURCES}
SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def request(seconds: int = 7200) -> dict[str, Any]:
    return {
        "ResourceConfig": RESOURCES,
        "StoppingCondition": {"MaxRuntimeInSeconds": seconds},
    }


def entry(job: str, usd: str | None, **more: Any) -> dict[str, Any]:
    known = {
        "job": job,
        "stage": "train",
        "status": "Completed",
        "instance_type": "ml.m5.xlarge",
        "instance_count": 1,
        "billable_seconds": 60,
        "spot_saving": 0.0,
        "usd": usd,
        "price": "table",
    }
    return {**known, **more}


def record(cap: str | None, **ledger: dict[str, Any]) -> RunRecord:
    return run_record(parameters={"resources": {"max_usd": cap}}, ledger=ledger)


@pytest.mark.parametrize("cents", [5, 6, 10, 20, 48, 49, 50, 100])
def test_the_time_is_the_most_that_keeps_the_cap(cents):
    allowed = Allowance(usd=Decimal(cents) / 100, prices=PRICES)
    try:
        held = held_to(request(), allowed)
    except BudgetError as error:
        assert jobs_usd(request(600), PRICES) > allowed.usd
        smallest = Decimal(str(error).split("--max-usd ")[1])
        assert held_to(request(), Allowance(usd=smallest, prices=PRICES))
        return
    seconds = held["StoppingCondition"]["MaxRuntimeInSeconds"]
    assert 600 <= seconds <= 7200
    assert jobs_usd(held, PRICES) <= allowed.usd
    assert seconds == 7200 or jobs_usd(request(seconds + 1), PRICES) > allowed.usd


def test_without_any_cap_nothing_changes():
    found = allowance(fake_platform(bills=True), record(None), JOB, None, "c")
    assert found.usd is None
    assert held_to(request(), found) == request()


def test_the_runs_own_cap_counts_what_was_used_and_the_endpoint_until_its_end():
    endpoint = entry(
        "e",
        "0.50",
        stage="deploy",
        billing=True,
        usd_per_hour="0.25",
        since=SINCE.isoformat(),
        expires=(SINCE + timedelta(hours=8)).isoformat(),
    )
    found = record("5", a=entry("a", "1.25"), e=endpoint, c=entry("c", "9"))
    left = allowance(fake_platform(bills=True), found, JOB, None, besides="c").usd
    assert left == 5 - Decimal("1.25") - 9 * Decimal("0.25"), "not the comparison itself"
    assert allowance(fake_platform(bills=True), found, JOB, Decimal(2), besides="c").usd == 2


def test_what_is_not_known_keeps_no_cap():
    with pytest.raises(ParameterError, match=r"'a'.*not known.*--max-usd"):
        allowance(fake_platform(bills=True), record("5", a=entry("a", None)), JOB, None, "c")
    odd = {**request(), "ResourceConfig": {**RESOURCES, "InstanceType": "ml.odd.large"}}
    with pytest.raises(ParameterError, match=r"ml\.odd\.large is not known"):
        held_to(odd, Allowance(usd=Decimal(5), prices=PRICES))


def test_a_used_up_cap_says_what_would_do():
    found = allowance(fake_platform(bills=True), record("1", a=entry("a", "1.5")), JOB, None, "c")
    with pytest.raises(BudgetError, match=r"0\.00 USD are left .* --max-usd 0\.0"):
        held_to(request(), found)
