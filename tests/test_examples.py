"""The examples in docstrings work as printed: what a reader copies first."""

import pytest

from tasks.parameters.run import TrainingParameters
from tasks.requests.bodies import training_job_request
from tests.examples import run_examples
from tests.sources import ROOT
from tests.worlds.fake_sagemaker import FakeSageMaker
from tests.worlds.requests import inputs
from tests.worlds.sample_output import write_output


@pytest.mark.parametrize(
    "place",
    [
        "platforms:connect",
        "platforms.local.tuning.search:Search",
        "platforms.validation:validate",
        "tasks.requests.waiting:wait_until",
    ],
)
def test_an_example_that_needs_nothing(place, whippet_home):
    run_examples(place)


@pytest.mark.parametrize(
    "place",
    ["tasks.dataset.checking.check:check_data", "tasks.job_environment.source:package_source"],
)
def test_an_example_over_the_project(place):
    run_examples(place, project_root=ROOT)


def test_create_or_adopt():
    sagemaker = FakeSageMaker()
    run_examples(
        "tasks.requests.create_or_adopt:create_or_adopt",
        sagemaker=sagemaker,
        training_job_request=training_job_request,
        inputs=inputs(),
        parameters=TrainingParameters(),
    )
    assert sagemaker.names("training_job") == ["pets-1"]


def test_read_training_output(tmp_path):
    folder = write_output(tmp_path / "output")
    run_examples("dashboards.files.frames:read_training_output", folder=folder)
