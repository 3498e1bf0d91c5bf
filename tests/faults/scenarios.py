"""Pieces of a run, made of the functions that the tasks call; each can be begun again at any time.

A scenario is prepared once, then acts; the same act, in a new process, is also what a resumed run
does. What it came to is the same however often it was killed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from platforms.errors import JobFailed
from platforms.job_status import TERMINAL
from tasks.costs.ledger import note_jobs
from tasks.costs.ledger_update import note_endpoint
from tasks.costs.stop_billing import stop_everything
from tasks.endpoints.remove import remove_endpoint
from tasks.leftovers.reaper import close_ledgers, find_leftovers, remove_leftover
from tasks.parameters.upkeep import CleanUpParameters
from tasks.requests.create_or_adopt import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    SPENT,
    TRAINING_JOB,
    TUNING_JOB,
    create_or_adopt,
)
from tasks.requests.training import output_uri_of, require_completed
from tasks.requests.tuning import list_trials
from tasks.requests.waiting import Pace, wait_until
from tasks.runs.names import resource_name
from tasks.runs.output import unpack_output
from tasks.runs.record import OUTPUT_FOLDER, finish, record, run_folder
from tasks.runs.record_model import RunFacts
from tests.faults.world import World
from tests.worlds.waiting import wait_for

TRIALS = 3
_PACE = Pace(slowest=0.1, deadline=120)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A piece of a run.

    Attributes:
        endpoints: how many endpoints are there at its end.
        creates: how many jobs may be there at its end that are neither failed nor stopped.
        found: what it came to, the same each time.
        lives: processes that may go on at its end.
    """

    name: str
    act: Callable[[World], None]
    found: Callable[[World], Any]
    prepare: Callable[[World], None] = lambda world: None
    endpoints: int = 0
    creates: dict[str, int] = field(default_factory=dict)
    lives: int = 0


def _spent(world: World) -> list[str]:
    """Return the jobs that had failed when a run was planned, as its plan does."""
    found = world.platform.sagemaker.list_training_jobs(MaxResults=100)
    return [
        job["TrainingJobName"]
        for job in found["TrainingJobSummaries"]
        if job["TrainingJobStatus"] in SPENT
    ]


def train(world: World) -> None:
    """Launch or adopt a training job, follow it, bring its output home."""
    platform, run, spent = world.platform, world.run, _spent(world)
    name = create_or_adopt(
        platform.sagemaker,
        TRAINING_JOB,
        lambda attempt: world.training_request("train", attempt, x=0.5),  # type: ignore[arg-type,return-value]
        spent=spent,
    )
    record(world.settings, run, RunFacts(jobs={"training": name}))
    job = wait_until(
        lambda: platform.sagemaker.describe_training_job(TrainingJobName=name),
        lambda found: found["TrainingJobStatus"] in TERMINAL,
        what=name,
        pace=_PACE,
    )
    note_jobs(platform, run, "train", [name])
    require_completed(job)
    unpack_output(platform, output_uri_of(job), run_folder(world.settings, run.name))
    finish(world.settings, run, "completed")


def trained(world: World) -> Any:
    """Return the job's artifact, its metric and its output as they came home."""
    run, platform = world.known_run(), world.platform
    (job,) = _living(world, "training_job", "TrainingJob")
    described = platform.sagemaker.describe_training_job(TrainingJobName=job)
    model = local_bytes(world, described["ModelArtifacts"]["S3ModelArtifacts"])
    result = run_folder(world.settings, run.name) / OUTPUT_FOLDER / "result.json"
    metrics = {m["MetricName"]: m["Value"] for m in described["FinalMetricDataList"]}
    values = _recorded(world)
    ledger = [each["status"] for each in values["ledger"].values()].count("Completed")
    return [model.hex(), json.loads(result.read_text()), metrics, values["status"], ledger]


def tune(world: World) -> None:
    """Launch or adopt a search, follow it, write its trials down."""
    platform, run, spent = world.platform, world.run, _spent(world)
    name = create_or_adopt(
        platform.sagemaker,
        TUNING_JOB,
        lambda attempt: world.tuning_request(attempt, trials=TRIALS),  # type: ignore[arg-type,return-value]
        spent=spent,
    )
    record(world.settings, run, RunFacts(jobs={"tuning": name}))
    job = wait_until(
        lambda: platform.sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name
        ),
        lambda found: found["HyperParameterTuningJobStatus"] in TERMINAL,
        what=name,
        pace=_PACE,
    )
    trials = [trial["TrainingJobName"] for trial in list_trials(platform, name)]
    note_jobs(platform, run, "tune", trials)
    if job["HyperParameterTuningJobStatus"] != "Completed":
        raise JobFailed(f"{name} ended {job['HyperParameterTuningJobStatus']}")
    finish(world.settings, run, "completed")


def tuned(world: World) -> Any:
    """Return what was tried, in order; a trial whose supervisor was killed has no value."""
    name = resource_name(world.known_run(), "tune")
    return [trial["TunedHyperParameters"] for trial in list_trials(world.platform, name)]


def deploy(world: World) -> None:
    """Create or adopt model, configuration and endpoint, and wait for its service."""
    platform, run, requests = world.platform, world.run, world.endpoint_requests()
    name = str(requests["endpoint"]["EndpointName"])
    described = ENDPOINT.describe(platform.sagemaker, name)
    if described is not None and described["EndpointStatus"] in ("Failed", "Deleting"):
        _remove(world)
    record(world.settings, run, RunFacts(jobs={"endpoint": name}))
    create_or_adopt(platform.sagemaker, MODEL, lambda _: requests["model"])  # type: ignore[arg-type,return-value]
    create_or_adopt(platform.sagemaker, ENDPOINT_CONFIG, lambda _: requests["config"])  # type: ignore[arg-type,return-value]
    create_or_adopt(platform.sagemaker, ENDPOINT, lambda _: requests["endpoint"])  # type: ignore[arg-type,return-value]
    note_endpoint(platform, run)
    endpoint = wait_until(
        lambda: platform.sagemaker.describe_endpoint(EndpointName=name),
        lambda found: found["EndpointStatus"] in ("InService", "Failed"),
        what=name,
        pace=_PACE,
    )
    if endpoint["EndpointStatus"] != "InService":
        raise JobFailed(f"{name}: {endpoint.get('FailureReason')}")
    finish(world.settings, run, "completed")


def deployed(world: World) -> Any:
    """Return what the endpoint answers, and what the ledger says of it."""
    run, platform = world.known_run(), world.platform
    answer = platform.runtime.invoke_endpoint(
        EndpointName=resource_name(run, "endpoint"), Body=b"a picture", ContentType="image/jpeg"
    )
    values = _recorded(world)
    billing = [each["billing"] for each in values["ledger"].values()].count(True)
    return [answer["Body"].read().decode(), values["status"], billing]


def _remove(world: World) -> None:
    requests = world.endpoint_requests()
    remove_endpoint(
        world.platform,
        str(requests["endpoint"]["EndpointName"]),
        str(requests["config"]["EndpointConfigName"]),
        [str(requests["model"]["ModelName"])],
    )


def remove(world: World) -> None:
    """Do what `whippet clean-up --all` does."""
    platform = world.platform
    everything = CleanUpParameters(all=True)
    for each in list(find_leftovers(platform, everything, datetime.now(UTC))):
        remove_leftover(platform, each)
    close_ledgers(platform)
    if _hosting(world):  # what only then is left without an endpoint goes with the next clean-up
        raise JobFailed(f"left: {_hosting(world)}")


def removed(world: World) -> Any:
    """Return what is left of the endpoint, and what the ledger says still bills."""
    billing = [each["billing"] for each in _recorded(world)["ledger"].values()]
    return [_hosting(world), billing]


def begin_endless(world: World) -> None:
    """Start a job that ends only when it is stopped, and an endpoint."""
    deploy(world)
    create_or_adopt(
        world.platform.sagemaker,
        TRAINING_JOB,
        lambda attempt: world.training_request("train", attempt, x=0.5, seconds=100),  # type: ignore[arg-type,return-value]
    )


def cancel(world: World) -> None:
    """Do what a cancel does: stop the run's jobs, remove its endpoint, write it down."""
    stop_everything(world.platform, world.known_run())
    finish(world.settings, world.known_run(), "cancelled")
    wait_for(lambda: set(_statuses(world)) <= set(TERMINAL), "end of the jobs", seconds=60)


def cancelled(world: World) -> Any:
    """Return what of the run is left."""
    values = _recorded(world)
    billing = [each["billing"] for each in values["ledger"].values()]
    stopped = set(_statuses(world)) <= {"Stopped", "Failed"}
    return [_hosting(world), stopped, values["status"], billing]


def _hosting(world: World) -> list[Any]:
    sagemaker = world.platform.sagemaker
    return [
        *sagemaker.list_endpoints()["Endpoints"],
        *sagemaker.list_endpoint_configs()["EndpointConfigs"],
        *sagemaker.list_models()["Models"],
    ]


def _recorded(world: World) -> dict[str, Any]:
    folder = run_folder(world.settings, world.known_run().name)
    values: dict[str, Any] = json.loads((folder / "run.json").read_text("utf-8"))
    return values


def _statuses(world: World) -> list[str]:
    found = world.platform.sagemaker.list_training_jobs(MaxResults=100)
    return [job["TrainingJobStatus"] for job in found["TrainingJobSummaries"]]


def _living(world: World, method: str, noun: str) -> list[str]:
    """Return the jobs of a kind that are neither failed nor stopped."""
    found = getattr(world.platform.sagemaker, f"list_{method}s")(MaxResults=100)
    summaries = found[f"{noun}Summaries"]
    return [job[f"{noun}Name"] for job in summaries if job[f"{noun}Status"] not in SPENT]


def living_jobs(world: World) -> dict[str, int]:
    """Return how many jobs of each kind are neither failed nor stopped."""
    kinds = (
        ("training_job", "TrainingJob"),
        ("hyper_parameter_tuning_job", "HyperParameterTuningJob"),
    )
    return {noun: len(_living(world, method, noun)) for method, noun in kinds}


def local_bytes(world: World, uri: str) -> bytes:
    """Return an object of the bucket."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return (world.home / "s3" / bucket / key).read_bytes()


SCENARIOS = (
    Scenario(name="training", act=train, found=trained, creates={"TrainingJob": 1}),
    Scenario(
        name="tuning",
        act=tune,
        found=tuned,
        creates={"TrainingJob": TRIALS, "HyperParameterTuningJob": 1},
    ),
    Scenario(name="deployment", act=deploy, found=deployed, endpoints=1, lives=2),
    Scenario(name="removal", prepare=deploy, act=remove, found=removed),
    Scenario(name="cancel", prepare=begin_endless, act=cancel, found=cancelled),
)
