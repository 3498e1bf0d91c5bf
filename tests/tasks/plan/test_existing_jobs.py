"""Names of what a run will create: free, the run's own, or another's."""

from __future__ import annotations

from typing import Any

import pytest

from platforms import Settings
from platforms.errors import NameTaken
from tasks.costs.prices import table_prices
from tasks.costs.worst_case import job_usd, jobs_usd
from tasks.parameters.run import TrainingParameters
from tasks.plan.existing_jobs import find_existing_jobs, require_own_names
from tasks.requests.bodies import training_job_request
from tasks.requests.create_or_adopt import TRAINING_JOB, create_or_adopt
from tasks.requests.identity import with_tags
from tasks.requests.tags import RUN_TAG
from tasks.runs.names import RunIdentity, Step, resource_name
from tasks.runs.record import open_run, read_run, record
from tasks.runs.record_model import RunFacts
from tests.worlds.fake_sagemaker import FakeSageMaker
from tests.worlds.packed_search import packed_request
from tests.worlds.platforms import deploy, fake_platform
from tests.worlds.requests import inputs
from tests.worlds.run_records import best

RUN = RunIdentity(name="demo", token="abc123", flow_run_id="id-1")
STEPS: tuple[Step, ...] = ("tune", "train", "model", "config", "endpoint")


def train(sagemaker: FakeSageMaker, tags: dict[str, str]) -> None:
    request: dict[str, Any] = training_job_request(
        resource_name(RUN, "train"), {"lr": 0.1}, inputs(), TrainingParameters()
    )
    sagemaker.create_training_job(**with_tags(request, tags))


def test_what_stands_is_counted_with_comparisons_and_names_what_failed(tmp_path):
    sagemaker = FakeSageMaker()
    settings = Settings(home=tmp_path)
    run = open_run(settings, "id-1", "demo", {}, resume=False)
    world = fake_platform(sagemaker, home=tmp_path)
    for name in ("train", "train-2", "improve-0a1b2c"):
        body = training_job_request(f"{run.prefix}-{name}", {}, inputs(), TrainingParameters())
        sagemaker.create_training_job(**body)
    first = sagemaker.resources["training_job", f"{run.prefix}-train"]
    first |= {"TrainingJobStatus": "Failed", "BillableTimeInSeconds": 3600}
    existing_jobs = find_existing_jobs(world, run)
    assert existing_jobs.spent() == [f"{run.prefix}-train"]
    assert [job["TrainingJobName"] for job in existing_jobs.comparisons] == [
        f"{run.prefix}-improve-0a1b2c"
    ]
    prices = table_prices([("ml.m5.xlarge", "training")])
    usd = existing_jobs.usd(read_run(settings, run.name), prices)
    hour = job_usd(first["ResourceConfig"], 3600, prices)
    limits = jobs_usd(first, prices)
    assert usd == hour + 2 * limits, "what failed as used, the others by their limits"


@pytest.mark.parametrize("used", [False, True])
def test_a_search_that_its_time_limit_ended_is_spent_unless_its_best_trial_was_taken(
    tmp_path, used
):
    sagemaker, settings = FakeSageMaker(), Settings(home=tmp_path)
    run = open_run(settings, "id-1", "demo", {}, resume=False)
    sagemaker.create_training_job(**packed_request(run))
    name = resource_name(run, "tune")
    sagemaker.resources["training_job", name]["TrainingJobStatus"] = "Stopped"
    if used:
        record(settings, run, RunFacts(best=best(f"{name}-001-0a1b2c3d", tuning_job=name)))
    found = find_existing_jobs(fake_platform(sagemaker, home=tmp_path), run)
    assert found.spent() == ([] if used else [name])
    assert found.created("tune") == used, "what follows was asked for with its best trial"
    taken = create_or_adopt(
        sagemaker, TRAINING_JOB, lambda n: packed_request(run, attempt=n), spent=found.spent()
    )
    assert taken == (name if used else f"{name}-2")


def test_free_names_are_only_looked_at():
    sagemaker = FakeSageMaker()
    require_own_names(fake_platform(sagemaker), RUN, STEPS)
    assert [name.partition("_")[0] for name, _ in sagemaker.calls] == ["describe"] * 6, (
        "a search may be a job of either kind"
    )


def test_what_the_run_made_before_is_its_own():
    sagemaker = FakeSageMaker()
    train(sagemaker, {RUN_TAG: "demo"})
    require_own_names(fake_platform(sagemaker), RUN, STEPS)


@pytest.mark.parametrize("tags", [{RUN_TAG: "other"}, {"team": "x"}], ids=["other", "nobody"])
def test_what_another_made_is_named(tags):
    sagemaker = FakeSageMaker()
    train(sagemaker, tags)
    with pytest.raises(NameTaken, match=r"training job 'demo-abc123-train' exists .* another run"):
        require_own_names(fake_platform(sagemaker), RUN, STEPS)
    # A search alone does not need the name.
    require_own_names(fake_platform(sagemaker), RUN, ["tune"])


def test_an_endpoint_of_another_is_seen_before_the_search():
    sagemaker = FakeSageMaker()
    name = resource_name(RUN, "endpoint")
    deploy(sagemaker, name, None, run="other")
    with pytest.raises(NameTaken, match=r"endpoint 'demo-abc123-endpoint'.*'other', not 'demo'"):
        require_own_names(fake_platform(sagemaker), RUN, STEPS)
