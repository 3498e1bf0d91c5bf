"""Endpoints of a run: made once, tested before they count, removed when they fail."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import obstore
import pytest
from botocore.exceptions import ClientError
from PIL import Image
from prefect import flow, task

from flows.hooks import FLOW_POLICY
from platforms import Settings, connect
from platforms.errors import EndpointFailed, NameTaken
from platforms.local.hosting.endpoints import Endpoints
from tasks.deployment import _removed_on_failure, create_endpoint, smoke_test_endpoint
from tasks.endpoints.invoke import invoke
from tasks.endpoints.predictions import predicted_images
from tasks.endpoints.remove import remove_endpoint
from tasks.parameters.run import DeploymentParameters
from tasks.querying import query_test_image
from tasks.runs.names import RunIdentity
from tasks.runs.record import PREDICTIONS_FILE, open_run, read_run, run_folder
from tasks.runs.record_parts import Prediction, TrainedModel
from tasks.runs.task_policy import policy
from tests.worlds.fake_sagemaker import throttled
from tests.worlds.local.serving import make_config, put_archive, serving_context, wait_for_endpoint

pytestmark = pytest.mark.slow

NAME = "l'été"
# The stand-in server puts what it is sent, a blank here, behind its answer.
ANSWER = json.dumps({"predictions": [{"label": "châ", "probability": 0.75}]})
SMOKE = DeploymentParameters(smoke_images=4)


@pytest.fixture
def context(tmp_path, monkeypatch):
    with serving_context(tmp_path) as context:
        monkeypatch.setenv("WHIPPET_HOME", str(context.settings.home))
        monkeypatch.setenv("WHIPPET_JOB_PYTHON", str(context.settings.job_python))
        yield context


@pytest.fixture
def run(context) -> RunIdentity:
    return open_run(Settings(), "id-1", NAME, {}, resume=False)


@pytest.fixture
def trained(context, run) -> Callable[[str, str], TrainedModel]:
    """Make what a training job leaves: a model, test images and what it said about them."""

    def make(behaviour: str, predicted: str = "châ") -> TrainedModel:
        store = connect().store("whippet-local")
        rows = ["path,label,predicted"]
        for label in ("châ", "d'og"):
            for number in range(4):
                obstore.put(store, f"test/{label}/{number}.jpg", b" ")
                rows.append(f"{label}/{number}.jpg,{label},{predicted}")
        folder = run_folder(Settings(), run.name)
        (folder / PREDICTIONS_FILE).write_text("\n".join(rows), "utf-8")
        return TrainedModel(
            job="the-job",
            model_data_uri=put_archive(
                context, "m/model.tar.gz", {"behaviour.txt": behaviour.encode()}
            ),
            output_uri="s3://whippet-local/o/output.tar.gz",
            test_uri="s3://whippet-local/test",
            metrics={},
            billable_seconds=1,
        )

    return make


def left(context) -> list[list[str]]:
    kinds = ("endpoints", "endpoint-configs", "models")
    return [sorted(context.records.names(kind)) for kind in kinds]


def test_images_are_spread_over_the_classes(run, trained):
    trained(ANSWER)
    found = predicted_images(connect(), run, 4)
    assert found == [(f"{label}/{n}.jpg", "châ") for label in ("châ", "d'og") for n in (0, 2)]
    assert len(predicted_images(connect(), run, 100)) == 8


def test_an_endpoint_is_made_once_tested_and_asked(context, run, trained):
    model = trained(ANSWER)
    names = create_endpoint.fn(run, model, SMOKE)
    # A run that is resumed adopts it; its time to live is not a new one.
    again = create_endpoint.fn(run, model, DeploymentParameters(hours_to_live=99))
    assert again == names
    deployed = smoke_test_endpoint.fn(run, model, names, SMOKE)
    assert (deployed.smoke_images, deployed.smoke_agreement) == (4, 1.0)
    answer = query_test_image.fn(run, model, deployed.endpoint)
    assert answer.label == "châ"
    assert answer.predictions == [Prediction(label="châ", probability=0.75)]
    known = read_run(Settings(), run.name)
    assert known.query == answer
    assert known.endpoint == deployed
    assert left(context) == [[names["endpoint"]], [names["config"]], [names["model"]]]

    remove_endpoint(connect(), names["endpoint"], names["config"], [names["model"]])
    remove_endpoint(connect(), names["endpoint"], names["config"], [names["model"]])
    assert left(context) == [[], [], []]


def test_the_printed_command_sends_the_file_that_was_sent(context, run, trained, monkeypatch):
    model = trained(ANSWER)
    names = create_endpoint.fn(run, model, SMOKE)
    path, _ = predicted_images(connect(), run, 1)[0]
    pixels = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    large = io.BytesIO()
    Image.fromarray(pixels).save(large, "PNG")
    bucket, key = f"{model.test_uri}/{path}".removeprefix("s3://").split("/", 1)
    obstore.put(connect().store(bucket), key, large.getvalue())
    sent = []

    def ask(platform, endpoint, image, content_type):
        sent.append((image, content_type))
        return [Prediction(label="châ", probability=0.75)]

    monkeypatch.setattr("tasks.querying.ask", ask)
    answer = query_test_image.fn(run, model, names["endpoint"])
    assert len(large.getvalue()) > 6_291_456
    assert Path(answer.file).suffix == ".jpg"
    assert sent == [(Path(answer.file).read_bytes(), "image/jpeg")]
    assert len(sent[0][0]) <= 6_291_456
    assert f"@{answer.file}" in shlex.split(answer.command)
    assert "Content-Type: image/jpeg" in shlex.split(answer.command)
    remove_endpoint(connect(), names["endpoint"], names["config"], [names["model"]])


@pytest.mark.parametrize("kind", ["serverless", "asynchronous"])
def test_an_endpoint_of_another_kind_is_tested_and_asked_in_its_own_way(
    context, run, trained, kind
):
    model, deployment = trained(ANSWER), DeploymentParameters(kind=kind, smoke_images=1)
    names = create_endpoint.fn(run, model, deployment)
    deployed = smoke_test_endpoint.fn(run, model, names, deployment)
    assert (deployed.smoke_images, deployed.smoke_agreement) == (1, 1.0)
    answer = query_test_image.fn(run, model, deployed.endpoint)
    assert answer.predictions == [Prediction(label="châ", probability=0.75)]
    assert answer.command.startswith(f"whippet predict --endpoint {deployed.endpoint} ")
    remove_endpoint(connect(), names["endpoint"], names["config"], [names["model"]])
    assert left(context) == [[], [], []]


def test_an_asynchronous_endpoint_says_why_it_refused(context):
    output = {"S3OutputPath": "s3://whippet-local/a/out", "S3FailurePath": "s3://whippet-local/a/f"}
    make_config(context, "e", ANSWER, {"OutputConfig": output})
    Endpoints(context).create_endpoint(EndpointName="e", EndpointConfigName="e")
    wait_for_endpoint(context, "e")
    with pytest.raises(EndpointFailed, match=r"415.*text/plain is not an image"):
        invoke(connect(), "e", b"x", "text/plain")


def test_an_endpoint_that_answers_otherwise_than_the_job_is_removed(context, run, trained):
    model = trained(ANSWER, predicted="d'og")
    names = create_endpoint.fn(run, model, SMOKE)
    with pytest.raises(EndpointFailed, match="answered 0 of 4 test images like the training job"):
        smoke_test_endpoint.fn(run, model, names, SMOKE)
    assert left(context) == [[], [], []]
    assert read_run(Settings(), run.name).endpoint is None


def test_an_endpoint_that_cannot_be_tested_is_removed(context, run, trained):
    model = trained(ANSWER)
    names = create_endpoint.fn(run, model, SMOKE)
    (run_folder(Settings(), run.name) / PREDICTIONS_FILE).write_text("path,label,predicted\n")
    with pytest.raises(EndpointFailed, match="'the-job' left no predictions"):
        smoke_test_endpoint.fn(run, model, names, SMOKE)
    assert left(context) == [[], [], []]


def test_a_model_that_does_not_start_says_why_and_leaves_nothing(context, run, trained):
    with pytest.raises(EndpointFailed, match="no such layer: é"):
        create_endpoint.fn(run, trained("fail"), SMOKE)
    assert left(context) == [[], [], []]
    # The same run may try again with a better model.
    assert create_endpoint.fn(run, trained(ANSWER), SMOKE)["endpoint"] in left(context)[0]


def test_what_somebody_else_made_is_not_removed(context, run, trained):
    names = create_endpoint.fn(run, trained(ANSWER), SMOKE)
    with pytest.raises(NameTaken, match=names["model"]):
        create_endpoint.fn(run, trained(ANSWER), DeploymentParameters(top_k=2))
    assert left(context) == [[names["endpoint"]], [names["config"]], [names["model"]]]


@pytest.mark.parametrize(
    ("error", "tries"), [(throttled(), 5), (EndpointFailed("wrong answers"), 1)]
)
def test_a_hiccup_does_not_cost_the_endpoint(context, run, trained, prefect_server, error, tries):
    names = create_endpoint.fn(run, trained(ANSWER), SMOKE)
    every = {step: names[step] for step in ("model", "config", "endpoint")}
    found = []

    @task(**{**policy(60), "retry_delay_seconds": 0})
    def fails() -> None:
        found.append(left(context)[0])
        with _removed_on_failure(connect(), every):
            raise error

    @flow(**FLOW_POLICY)
    def deploys() -> None:
        fails()

    with pytest.raises((ClientError, EndpointFailed)):
        deploys()
    # As long as Prefect tries again it is there; after the last try it is not.
    assert found == [[names["endpoint"]]] * tries
    assert left(context) == [[], [], []]
