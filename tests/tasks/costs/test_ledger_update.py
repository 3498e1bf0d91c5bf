"""The ledger is brought up to date from what exists, whoever made it and whatever died."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tasks.costs.ledger import cost_sentence, ledger_rows, stage_rows
from tasks.costs.ledger_update import settle
from tasks.costs.stop_billing import delete_with_config_and_models
from tasks.requests.tags import EXPIRES_TAG, RUN_TAG
from tasks.runs.names import resource_name
from tasks.runs.record import read_run, record
from tasks.runs.record_model import RunFacts
from tests.worlds.fake_sagemaker import FakeSageMaker
from tests.worlds.platforms import platform_with_run

HOUR = Decimal("0.056") + 30 * Decimal("0.14") / 730  # ml.t2.medium, and a volume of 30 GB


@pytest.fixture
def world(tmp_path) -> Any:
    return platform_with_run(tmp_path, FakeSageMaker(page_size=2), bills=True)


def job(world: Any, name: str, status: str = "Completed", seconds: int = 3600) -> None:
    world.sagemaker.resources["training_job", name] = {
        "TrainingJobName": name,
        "TrainingJobStatus": status,
        "BillableTimeInSeconds": seconds,
        "TrainingTimeInSeconds": seconds,
        "ResourceConfig": {
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 30,
        },
    }


def endpoint(world: Any, hours: float, tags: dict[str, str], **variant: Any) -> str:
    """Make the run's endpoint, created ``hours`` ago."""
    name = resource_name(world.run, "endpoint")
    given = {"InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
    body = {"VariantName": "a", "ModelName": "m", **(variant or given)}
    every = [{"Key": k, "Value": v} for k, v in {RUN_TAG: world.run.name, **tags}.items()]
    world.sagemaker.create_endpoint_config(
        EndpointConfigName=f"{name}-c", ProductionVariants=[body], Tags=every
    )
    world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=f"{name}-c", Tags=every)
    created = datetime.now(UTC) - timedelta(hours=hours)
    world.sagemaker.resources["endpoint", name]["CreationTime"] = created
    return name


def entries(world: Any) -> list[Any]:
    return list(read_run(world.settings, world.run.name).ledger.values())


def test_every_job_of_the_run_that_ended_is_noted(world):
    prefix = world.run.prefix
    ours = {
        f"{prefix}-tune-001-0a1b2c3d": "tune",
        f"{prefix}-tune-2-004-abcdef12": "tune",
        f"{prefix}-train": "train",
        f"{prefix}-train-2": "train",
        f"{prefix}-improve-0a1b2c": "improve",
        f"{prefix}-improve-ffffff-2": "improve",
    }
    for name in ours:
        job(world, name, "Failed" if name.endswith("-train") else "Completed")
    job(world, f"{prefix}-train-3", "InProgress")
    job(world, f"other-{prefix}-train")
    job(world, f"{prefix}x-train")
    settle(world, world.run)
    settle(world, world.run)
    assert {each.job: each.stage for each in entries(world)} == ours
    described = [name for name, _ in world.sagemaker.calls if name == "describe_training_job"]
    assert len(described) == len(ours), "each is described once"
    rows = stage_rows(read_run(world.settings, world.run.name))
    assert [(row["stage"], row["jobs"]) for row in rows] == [
        ("tune", "2"),
        ("train", "2"),
        ("improve", "2"),
    ]


def test_an_endpoint_is_in_the_ledger_and_bills_on(world):
    expires = (datetime.now(UTC) + timedelta(hours=5)).isoformat(timespec="seconds")
    name = endpoint(world, 3, {EXPIRES_TAG: expires})
    settle(world, world.run)
    settle(world, world.run)
    (entry,) = entries(world)
    assert (entry.job, entry.stage, entry.billing) == (name, "deploy", True)
    assert 3 * 3600 <= entry.billable_seconds < 3 * 3600 + 600
    assert entry.usd_per_hour == HOUR
    assert entry.usd == HOUR * entry.billable_seconds / 3600
    found = read_run(world.settings, world.run.name)
    assert "so far, and keeps billing $0.0618 per hour" in cost_sentence(found)
    shown = expires[:16].replace("T", " ")
    assert f"0.0618 USD per hour, until {shown} UTC" in ledger_rows(found)[0]["bills on"]


def test_clean_up_closes_it_and_a_second_endpoint_is_another_entry(world):
    name = endpoint(world, 2, {})
    settle(world, world.run)
    delete_with_config_and_models(world, name)
    (entry,) = entries(world)
    assert (entry.billing, entry.status) == (False, "Deleted")
    assert entry.usd >= 2 * HOUR
    endpoint(world, 1, {})
    settle(world, world.run)
    first, second = entries(world)
    assert (first, second.billing) == (entry, True)
    assert "keeps billing" in cost_sentence(read_run(world.settings, world.run.name))


def test_one_that_vanished_is_closed_at_its_clean_up_at_the_latest(world):
    expired = datetime.now(UTC) - timedelta(hours=90)
    endpoint(world, 100, {EXPIRES_TAG: expired.isoformat(timespec="seconds")})
    name = resource_name(world.run, "endpoint")
    created = world.sagemaker.resources["endpoint", name]["CreationTime"]
    early = created + timedelta(hours=2)
    settle(world, world.run)
    found = read_run(world.settings, world.run.name)
    (key,) = found.ledger
    # The last look was two hours after its creation; somebody deleted it since.
    seconds = (early - created).seconds
    seen = found.ledger[key].model_copy(update={"billable_seconds": seconds})
    record(world.settings, world.run, RunFacts(ledger={key: seen}))
    world.sagemaker.delete_endpoint(EndpointName=name)
    settle(world, world.run)
    (entry,) = entries(world)
    assert not entry.billing
    assert entry.billable_seconds == pytest.approx(11 * 3600, abs=5), "10 h to live, 1 h more"


def test_one_that_scales_is_counted_at_its_largest_and_serverless_by_use(world):
    endpoint(world, 1, {"whippet:max-instances": "4"})
    settle(world, world.run)
    (entry,) = entries(world)
    assert entry.usd_per_hour == 4 * HOUR
    assert entry.instance_count == 4
    world.sagemaker.resources.clear()
    endpoint(world, 0.5, {}, ServerlessConfig={"MemorySizeInMB": 2048, "MaxConcurrency": 2})
    settle(world, world.run)
    *_, serverless = entries(world)
    assert (serverless.usd, serverless.price) == (None, "by use")
    assert "by use" in cost_sentence(read_run(world.settings, world.run.name))
