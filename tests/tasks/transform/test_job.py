"""A batch transform on the local platform: launched once, adopted, its answers in a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from platforms import Platform, Settings, connect
from platforms.errors import JobFailed, ParameterError
from platforms.local.context import local_context
from tasks.costs.cap import BudgetError
from tasks.runs.record_parts import TrainedModel
from tasks.transform.answers import Answer, read_answers, require_writable, write_answers
from tasks.transform.job import Ended, follow, identity_of, launch, remove_model, send_pictures
from tasks.transform.parameters import TransformParameters
from tasks.transform.pictures import JPEG, Pictures, find_pictures
from tasks.transform.request import output_uri, require_within_budget, transform_job_request
from tests.worlds.local.serving import make_context, put_archive


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """The local platform with an interpreter that serves without torch."""
    settings = make_context(tmp_path).settings
    return connect(settings)


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(JPEG + b"one")
    (folder / "2.jpg").write_bytes(JPEG + b"two")
    return find_pictures(folder)


def parameters(**changed: Any) -> TransformParameters:
    return TransformParameters(images="pictures", out="answers.csv", **changed)


def trained(platform: Platform, behaviour: str = "seen ") -> TrainedModel:
    uri = put_archive(
        local_context(platform.settings), "m.tar.gz", {"behaviour.txt": behaviour.encode()}
    )
    return TrainedModel(
        job="train-1",
        model_data_uri=uri,
        output_uri="",
        test_uri="",
        metrics={},
        billable_seconds=0,
    )


def run_whole(platform: Platform, pictures: Pictures, behaviour: str = "seen ") -> Ended:
    model, asked = trained(platform, behaviour), parameters()
    send_pictures(platform, pictures)
    run = identity_of(model, pictures, asked.top_k)
    return follow(platform, launch(platform, run, model, pictures, asked), 60)


@pytest.mark.slow
def test_the_same_question_is_asked_once(platform: Platform, pictures: Pictures) -> None:
    first = run_whole(platform, pictures)
    assert first.status == "Completed", first
    again = run_whole(platform, pictures)
    assert again == first
    assert len(platform.sagemaker.list_transform_jobs()["TransformJobSummaries"]) == 1
    answers = read_answers(platform, pictures, output_uri(platform, pictures, first.job), None)
    assert [each.image for each in answers] == ["1.jpg", "2.jpg"]
    assert answers[0].answer is not None
    assert answers[0].answer.startswith("seen ")
    run = identity_of(trained(platform), pictures, 5)
    remove_model(platform, run)
    remove_model(platform, run)  # it is gone already
    assert platform.sagemaker.list_models()["Models"] == []


@pytest.mark.slow
def test_a_job_that_answered_nothing_is_tried_again(platform: Platform, pictures: Pictures) -> None:
    first = run_whole(platform, pictures, "fail")
    assert first.status == "Failed"
    again = run_whole(platform, pictures, "seen ")
    assert (again.status, again.job) == ("Completed", f"{first.job}-2")


def test_the_request_is_one_that_the_service_takes(platform: Platform, pictures: Pictures) -> None:
    from platforms.validation import validate

    run = identity_of(trained(platform), pictures, 5)
    request = transform_job_request(platform, run, pictures, parameters(max_concurrency=16))
    validate("CreateTransformJob", request)
    assert request["MaxConcurrentTransforms"] * request["MaxPayloadInMB"] <= 100
    assert request["TransformInput"]["ContentType"] == "image/jpeg"


def test_the_identity_follows_model_and_pictures(platform: Platform, pictures: Pictures) -> None:
    model = trained(platform)
    same = identity_of(model, pictures, 5)
    assert identity_of(model, pictures, 5) == same
    assert identity_of(model, pictures, 3).token != same.token
    other = model.model_copy(update={"model_data_uri": "s3://b/other.tar.gz"})
    assert identity_of(other, pictures, 5).token != same.token


def test_a_cap_is_kept(platform: Platform) -> None:
    worst = require_within_budget(platform, parameters(max_seconds=3600))
    assert worst is not None
    assert worst > 0
    with pytest.raises(BudgetError, match="too small"):
        require_within_budget(platform, parameters(max_usd="0.001"))
    with pytest.raises(ParameterError, match=r"price of ml\.unknown\.large is not known"):
        require_within_budget(platform, parameters(max_usd="1", instance_type="ml.unknown.large"))


def test_answers_are_read_whatever_the_model_says(platform: Platform, pictures: Pictures) -> None:
    bucket = platform.defaults.bucket
    said = {"predictions": [{"label": "=cat", "probability": 0.75}]}
    store = platform.store(bucket)
    store.put("o/1.jpg.out", json.dumps(said).encode())
    answers = read_answers(platform, pictures, f"s3://{bucket}/o", "ClientError: 1 of 2")
    assert answers == [
        Answer(image="1.jpg", predictions=[{"label": "=cat", "probability": 0.75}]),
        Answer(image="2.jpg", error="no answer: ClientError: 1 of 2"),
    ]


def test_answers_become_a_table_or_lines(tmp_path: Path) -> None:
    answers = [
        Answer(image="a, b.jpg", predictions=[{"label": "cat", "probability": 0.75}]),
        Answer(image="c.jpg", answer="[1, 2]"),
    ]
    write_answers(answers, tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [row["label"] for row in rows] == ["cat", ""]
    assert rows[1]["answer"] == "[1, 2]"
    write_answers(answers, tmp_path / "a.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines[0] == {"image": "a, b.jpg", "predictions": [{"label": "cat", "probability": 0.75}]}


@pytest.mark.parametrize(
    ("name", "said"), [("a.txt", r"must end in \.csv"), ("no/a.csv", "there is no folder")]
)
def test_a_file_that_cannot_be_written_is_refused_first(
    tmp_path: Path, name: str, said: str
) -> None:
    with pytest.raises(ParameterError, match=said):
        require_writable(tmp_path / name)


def test_no_run_no_model(tmp_path: Path) -> None:
    from tasks.transform.job import model_to_ask

    platform = connect(Settings(home=tmp_path))
    with pytest.raises(JobFailed, match="the latest run has no trained model"):
        model_to_ask(platform, None)
    with pytest.raises(JobFailed, match="there is no training job 'nobody'"):
        model_to_ask(platform, "nobody")
