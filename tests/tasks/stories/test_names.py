from __future__ import annotations

import pytest
from prefect.utilities.names import generate_slug

from tasks.parameters.run import (
    DataParameters,
    ModelParameters,
    ResourceParameters,
    TuningParameters,
)
from tasks.parameters.upkeep import CleanUpParameters
from tasks.runs.names import RunIdentity, folder_name, resource_name
from tasks.stories.names import clean_up_name, file_name, is_random, release_name, training_name

RESOURCES = ResourceParameters()


@pytest.mark.parametrize(
    ("data", "model", "tuning", "name"),
    [
        ({}, {"architecture": "mobilenet_v2"}, {}, "clipart · mobilenet_v2 · 64 trials"),
        ({"path": "/a/photos/"}, {}, {"max_jobs": 1}, "photos · resnet18 · 1 trial"),
        ({"name": "pets"}, {}, {"strategy": "Random"}, "pets · resnet18 · 6 trials"),
        ({}, {"architecture": "resnet18,resnet34"}, {}, "clipart · best of 2 networks · 64 trials"),
        ({"path": "s3://bucket/photos"}, {}, {}, "photos · resnet18 · 64 trials"),
        ({"path": "/"}, {}, {}, "data · resnet18 · 64 trials"),
    ],
    ids=str,
)
def test_a_run_is_called_after_its_data_network_and_trials(data, model, tuning, name):
    groups = DataParameters(**data), ModelParameters(**model), TuningParameters(**tuning)
    assert release_name(*groups, RESOURCES) == name


def test_other_runs_are_called_after_what_they_do():
    assert training_name(DataParameters(), ModelParameters(), 5) == "clipart · resnet18 · 5 epochs"
    assert clean_up_name(CleanUpParameters(dry_run=False)) == "remove expired endpoints"
    assert clean_up_name(CleanUpParameters(all=True)).startswith("see what would be removed")
    assert clean_up_name(CleanUpParameters(endpoint="e", dry_run=False)) == "remove endpoint e"
    assert file_name("my photos/a.jpg") == "a.jpg"


def test_names_that_prefect_makes_up_are_known():
    # Not parameters: workers of one test run have to collect the same tests.
    made_up = [*(generate_slug(2) for _ in range(200)), "Incredible-Vicuña"]
    assert [name for name in made_up if not is_random(name)] == []


@pytest.mark.parametrize(
    "name",
    ["nightly-clipart", "demo", "to be cancelled", "clipart · resnet18 · 64 trials", "a-b-c", ""],
)
def test_names_that_people_give_are_kept(name):
    assert not is_random(name)


def test_a_story_is_a_folder_and_jobs_without_blanks():
    story = "clipart · mobilenet_v2 · 64 trials"
    assert folder_name(story) == "clipart-mobilenet_v2-64-trials"
    assert folder_name(f"{story} · 2") == "clipart-mobilenet_v2-64-trials-2"
    assert folder_name("a first run") == "a first run"
    run = RunIdentity(name=folder_name(story), token="abc123", flow_run_id="x")
    assert resource_name(run, "train") == "clipart-mobil-abc123-train"
