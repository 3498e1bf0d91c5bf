"""Lint of a packed search: from the trial table in the bucket, no job is run."""

from __future__ import annotations

import obstore
import pytest

from platforms import connect
from platforms.archives import write_archive
from platforms.errors import ParameterError
from tasks.lint.jobs import lint_job
from tasks.parameters.ranges import ContinuousRange
from tasks.runs.names import RunIdentity
from tests.worlds.packed_search import packed_request, write_packed_search
from tests.worlds.platforms import fake_platform

RUN = RunIdentity(name="demo", token="abc123", flow_run_id="id-1")
SEARCH = "demo-abc123-tune"
LR = {"ranges": {"lr": ContinuousRange(min=0.01, max=1.0)}}


@pytest.fixture
def platform(whippet_home):
    store = connect().store
    found = fake_platform(store=store)
    found.sagemaker.create_training_job(**packed_request(RUN, **LR))
    job = found.sagemaker.resources["training_job", SEARCH]
    job |= {
        "TrainingJobStatus": "Completed",
        "OutputDataConfig": {"S3OutputPath": "s3://whippet-local/jobs"},
    }
    return found


def deliver(platform, folder, trials) -> None:
    write_packed_search(folder / "output", SEARCH, trials)
    archive = folder / "output.tar.gz"
    write_archive(folder / "output", archive)
    key = f"jobs/{SEARCH}/output/output.tar.gz"
    obstore.put(platform.store("whippet-local"), key, archive.read_bytes())


def test_a_clean_search_has_nothing_to_say(platform, tmp_path):
    deliver(platform, tmp_path, [(0.1, [0.91, 0.52]), (0.5, [0.73, 0.48]), (0.2, [0.83, 0.53])])
    assert lint_job(platform, SEARCH) == []


def test_its_trials_are_judged_as_those_of_a_tuning_job(platform, tmp_path):
    deliver(platform, tmp_path, [(0.02, [9.21]), (1.0, [8.93]), (0.4, [])])
    found = {each.code: each for each in lint_job(platform, SEARCH, classes=10)}
    assert set(found) == {
        "worse-than-chance",
        "objective-missing",
        "optimum-at-edge",
    }
    assert found["optimum-at-edge"].evidence == "lr: upper edge"
    assert f"whippet logs {SEARCH}-003" in found["objective-missing"].advice
    assert "2 of 2 trials" in found["worse-than-chance"].evidence


def test_what_delivered_nothing_is_one_sentence(platform):
    with pytest.raises(ParameterError, match=f"'{SEARCH}' delivered no trials: .* does not exist"):
        lint_job(platform, SEARCH)


def test_an_edge_is_measured_on_the_scale_of_the_draws(platform, tmp_path):
    """0.95 is 5% of the range below its end, but 1% of its orders of magnitude."""
    deliver(platform, tmp_path, [(0.95, [0.31]), (0.5, [0.73]), (0.2, [0.83])])
    assert [found.code for found in lint_job(platform, SEARCH)] == ["optimum-at-edge"]


def test_what_is_linearly_near_an_edge_is_not_at_it(platform, tmp_path):
    deliver(platform, tmp_path, [(0.015, [0.31]), (0.5, [0.73]), (0.2, [0.83])])
    assert lint_job(platform, SEARCH) == []
