"""Which jobs are done again, which are kept, and what is refused before anything is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from platforms import Settings
from platforms.errors import ParameterError
from tasks.parameters.run import TrainingParameters
from tasks.plan.existing_jobs import find_existing_jobs
from tasks.plan.redo import redo_from, step_named
from tasks.requests.bodies import training_job_request
from tasks.requests.create_or_adopt import TRAINING_JOB, create_or_adopt, past
from tasks.runs.names import RunIdentity, resource_name
from tasks.runs.record import open_run, read_run, record, redone_jobs
from tasks.runs.record_model import RunFacts
from tests.worlds.fake_sagemaker import FakeSageMaker
from tests.worlds.packed_search import packed_request
from tests.worlds.platforms import deploy, fake_platform
from tests.worlds.requests import inputs
from tests.worlds.run_records import best


@pytest.fixture
def finished(tmp_path: Path) -> tuple[Any, FakeSageMaker, RunIdentity]:
    """A run with a search, a trained model and an endpoint."""
    sagemaker, settings = FakeSageMaker(), Settings(home=tmp_path)
    run = open_run(settings, "id-1", "demo", {}, resume=False)
    tune, train, endpoint = (resource_name(run, each) for each in ("tune", "train", "endpoint"))
    sagemaker.create_training_job(**packed_request(run))
    sagemaker.create_training_job(**trained(run, 1))
    for name in (tune, train):
        sagemaker.resources["training_job", name]["TrainingJobStatus"] = "Completed"
    deploy(sagemaker, endpoint, None, run="demo")
    facts = RunFacts(
        best=best(f"{tune}-001-0a1b2c3d", tuning_job=tune),
        jobs={"tuning": tune, "training": train, "endpoint": endpoint},
        report="/runs/demo/report.html",
    )
    record(settings, run, facts)
    return fake_platform(sagemaker, home=tmp_path), sagemaker, run


def trained(run: RunIdentity, attempt: int) -> Any:
    name = resource_name(run, "train", attempt)
    return training_job_request(name, {"lr": 0.1}, inputs(), TrainingParameters())


def test_a_training_is_done_again_and_the_search_before_it_is_kept(finished):
    platform, sagemaker, run = finished
    said = redo_from(platform, read_run(platform.settings, run.name), "train")
    assert said == [
        "from step train: train, deploy are done again",
        f"kept: {run.prefix}-tune, Completed, since tune precedes it",
        f"left as evidence: {run.prefix}-train, Completed",
        f"removed: endpoint {run.prefix}-endpoint, which served the former model",
    ]
    after = read_run(platform.settings, run.name)
    assert after.redone == [f"{run.prefix}-train"]
    assert after.jobs == {"tuning": f"{run.prefix}-tune"}
    assert (after.best is None, after.report) == (False, None)
    assert ("endpoint", f"{run.prefix}-endpoint") not in sagemaker.resources
    existing = find_existing_jobs(platform, run)
    assert (existing.created("tune"), existing.created("train")) == (True, False)
    # The next job has another name; whoever comes back then adopts it.
    for _ in range(2):
        requests = past(
            lambda n: trained(run, n), TRAINING_JOB, redone_jobs(platform.settings, run)
        )
        name = create_or_adopt(sagemaker, TRAINING_JOB, requests, spent=existing.spent())
        assert name == f"{run.prefix}-train-2"


def test_from_the_search_on_everything_is_done_again_and_again(finished):
    platform, sagemaker, run = finished
    redo_from(platform, read_run(platform.settings, run.name), "tune")
    after = read_run(platform.settings, run.name)
    assert after.redone == [f"{run.prefix}-train", f"{run.prefix}-tune"]
    assert (after.best, after.jobs) == (None, {})
    sagemaker.create_training_job(**packed_request(run, attempt=2))
    second = sagemaker.resources["training_job", f"{run.prefix}-tune-2"]
    second["TrainingJobStatus"] = "Completed"
    said = redo_from(platform, read_run(platform.settings, run.name), "tune")
    assert f"left as evidence: {run.prefix}-tune-2, Completed" in said
    assert f"left as evidence: {run.prefix}-tune, Completed" not in said
    assert len(read_run(platform.settings, run.name).redone) == 3


def test_what_cannot_be_done_again_is_refused_and_nothing_is_touched(finished):
    platform, sagemaker, run = finished
    before = read_run(platform.settings, run.name)
    with pytest.raises(
        ParameterError, match=r"has not got a trained model yet\. Use --from-step t"
    ):
        redo_from(platform, before, "deploy")
    sagemaker.resources["training_job", f"{run.prefix}-train"]["TrainingJobStatus"] = "InProgress"
    with pytest.raises(ParameterError, match=r"is still at work: wait for it .* `whippet cancel"):
        redo_from(platform, before, "train")
    after = read_run(platform.settings, run.name)
    assert (after.jobs, after.best, after.redone) == (before.jobs, before.best, [])
    assert ("endpoint", f"{run.prefix}-endpoint") in sagemaker.resources


@pytest.mark.parametrize("text", ["", "query", "Train"])
def test_an_unknown_step_is_refused_with_the_list(text):
    with pytest.raises(
        ParameterError, match=rf"--from-step '{text}' is not a step: use tune, trai"
    ):
        step_named(text)


def test_a_misspelt_step_is_guessed():
    with pytest.raises(ParameterError, match="mean 'train'"):
        step_named("trian")
