"""What a clean-up finds and removes: past its time, broken, stuck, of a cancelled run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from platforms import Settings
from platforms.client_errors import client_error
from tasks.costs.ledger_update import note_endpoint
from tasks.leftovers.leftover import age
from tasks.leftovers.reaper import close_ledgers, find_leftovers, remove_leftover
from tasks.parameters.upkeep import CleanUpParameters
from tasks.requests.tags import RUN_TAG
from tasks.runs.record import finish, open_run, read_run, record
from tasks.runs.record_model import RunFacts
from tests.worlds.fake_sagemaker import FakeSageMaker
from tests.worlds.platforms import deploy, fake_platform

NOW = datetime.now(UTC)


class World:
    """A service with the endpoints and jobs of one run, whose record is here."""

    def __init__(self, home, status: str = "running") -> None:
        self.sagemaker = FakeSageMaker()
        self.platform = fake_platform(self.sagemaker, home=home)
        self.settings: Settings = self.platform.settings
        self.run = open_run(self.settings, "id-1", "demo", {}, resume=False)
        self.endpoint = f"{self.run.prefix}-endpoint"
        record(self.settings, self.run, RunFacts(jobs={"endpoint": self.endpoint}))
        if status != "running":
            finish(self.settings, self.run, status)

    def job(self, name: str, status: str = "InProgress", **more) -> str:
        arn = f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"
        self.sagemaker.resources["training_job", name] = {
            "TrainingJobName": name,
            "TrainingJobArn": arn,
            "TrainingJobStatus": status,
            "CreationTime": NOW - timedelta(hours=2),
            "TrainingStartTime": NOW - timedelta(hours=2),
            "ResourceConfig": {
                "InstanceType": "ml.m5.xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 30,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 86_400},
            **more,
        }
        self.sagemaker.tags[arn] = [{"Key": RUN_TAG, "Value": self.run.name}]
        return name

    def search(self, name: str) -> str:
        arn = f"arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/{name}"
        self.sagemaker.resources["hyper_parameter_tuning_job", name] = {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobArn": arn,
            "HyperParameterTuningJobStatus": "InProgress",
            "CreationTime": NOW - timedelta(hours=2),
        }
        self.sagemaker.tags[arn] = [{"Key": RUN_TAG, "Value": self.run.name}]
        return name

    def deploy(self, status: str = "InService", *, aged: timedelta = timedelta()) -> None:
        deploy(self.sagemaker, self.endpoint, NOW + timedelta(hours=1), run=self.run.name)
        found = self.sagemaker.resources["endpoint", self.endpoint]
        found |= {"EndpointStatus": status, "CreationTime": NOW - aged}

    def found(self, **parameters) -> dict[str, str]:
        chosen = CleanUpParameters(**parameters)
        return {each.name: each.why for each in find_leftovers(self.platform, chosen, NOW)}

    def remove(self) -> list[str | None]:
        found = find_leftovers(self.platform, CleanUpParameters(), NOW)
        return [remove_leftover(self.platform, each) for each in list(found)]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("running", None),
        ("crashed", None),
        ("failed", None),
        ("cancelled", "its run was cancelled"),
        ("completed", "its run ended without it"),
    ],
)
def test_jobs_go_that_no_run_waits_for(tmp_path, status, expected):
    world = World(tmp_path, status)
    prefix = world.run.prefix
    jobs = {world.search(f"{prefix}-tune"), world.job(f"{prefix}-train-2")}
    world.job(f"{prefix}-improve-abcdef")  # launched for a run that has ended
    world.job(f"{prefix}-finetune", "Stopping")
    world.job(f"{prefix}-tune-001-abcdef", TuningJobArn="arn:of-its-search")
    wanted = dict.fromkeys(jobs, expected) if expected else {}
    assert world.found() == wanted
    assert world.remove() == [None] * len(wanted)
    statuses = {
        name: found[next(k for k in found if k.endswith("JobStatus"))]
        for (_, name), found in world.sagemaker.resources.items()
    }
    assert {name for name in jobs if statuses[name] == "Stopping"} == set(wanted)
    assert statuses[f"{prefix}-improve-abcdef"] == "InProgress"
    assert world.found() == {}


def test_jobs_of_runs_that_are_not_known_here_go_on(tmp_path):
    world = World(tmp_path / "one", "cancelled")
    world.job(f"{world.run.prefix}-train")
    world.platform.settings = Settings(home=tmp_path / "another machine")
    assert world.found() == {}


def test_jobs_past_their_own_time_are_pushed_on(tmp_path):
    world = World(tmp_path)
    name = f"{world.run.prefix}-train"
    world.job(name, "Stopping", StoppingCondition={"MaxRuntimeInSeconds": 600})
    assert world.found()[name].startswith("it should have ended by ")
    assert world.remove() == [None]  # it may have ended since, and refuse to be stopped


@pytest.mark.parametrize(
    ("run", "status", "aged", "why"),
    [
        ("running", "Failed", timedelta(hours=1), None),
        ("running", "Failed", timedelta(days=2), "it failed: it serves nobody and holds its name"),
        ("failed", "Failed", timedelta(), "it failed: it serves nobody and holds its name"),
        ("cancelled", "InService", timedelta(), "its run was cancelled"),
        ("completed", "InService", timedelta(), None),
        ("failed", "InService", timedelta(), None),
    ],
)
def test_endpoints_go_that_serve_no_live_run(tmp_path, run, status, aged, why):
    world = World(tmp_path, run)
    world.deploy(status, aged=aged)
    assert world.found() == ({} if why is None else {world.endpoint: why})
    world.remove()
    assert bool(world.sagemaker.names("endpoint")) is (why is None)
    assert bool(world.sagemaker.names("model")) is (why is None)


def test_an_endpoint_in_transition_is_not_waited_for(tmp_path):
    world = World(tmp_path, "cancelled")
    world.deploy("Creating")
    refusal = client_error("DeleteEndpoint", "ValidationException", "Cannot update in-progress")
    world.sagemaker.faults["delete_endpoint"] += [refusal, refusal]
    assert world.remove() == ["Creating"]
    assert world.sagemaker.names("model")  # it would be served
    # One that is being deleted already needs its config and model no more.
    world.sagemaker.resources["endpoint", world.endpoint]["EndpointStatus"] = "Deleting"
    assert world.remove() == [None]
    assert not world.sagemaker.names("model")


def test_age_and_cost_are_told(tmp_path):
    world = World(tmp_path, "cancelled")
    world.job(f"{world.run.prefix}-train")
    world.deploy("Failed", aged=timedelta(days=1, hours=3))
    rows = {
        each.kind: each.row(NOW)
        for each in find_leftovers(world.platform, CleanUpParameters(), NOW)
    }
    job, endpoint = rows["training job"], rows["endpoint"]
    assert job["age"] == "2 h 0 min"
    assert Decimal(job["USD so far"]) == pytest.approx(
        2 * Decimal(job["USD per hour"]), abs=Decimal("0.0002")
    )
    assert Decimal(job["USD per hour"]) > Decimal("0.2")
    assert endpoint["age"] == "1 d 3 h"
    assert endpoint["USD so far"] == "0.0000"  # a failed one bills nothing


def test_ledgers_that_count_on_are_closed(tmp_path):
    world = World(tmp_path)
    world.deploy()
    assert close_ledgers(world.platform) == []
    note_endpoint(world.platform, world.run)
    (entry,) = read_run(world.settings, world.run.name).ledger.values()
    assert entry.billing
    del world.sagemaker.resources["endpoint", world.endpoint]  # and whoever did it was killed
    assert close_ledgers(world.platform) == [world.run.name]
    (entry,) = read_run(world.settings, world.run.name).ledger.values()
    assert not entry.billing
    assert entry.status == "Deleted"
    assert close_ledgers(world.platform) == []


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-5, "0 min"), (59, "0 min"), (240, "4 min"), (12_000, "3 h 20 min"), (100_000, "1 d 3 h")],
)
def test_ages_are_short(seconds, expected):
    assert age(timedelta(seconds=seconds)) == expected
