from __future__ import annotations

import re

import pytest

from platforms.validation import java_pattern, service_model
from tasks.runs.names import (
    JOB_STEPS,
    RunIdentity,
    folder_name,
    resource_name,
    run_token,
    slug,
    step_of,
)

STEPS = {
    "tune": ("CreateHyperParameterTuningJob", "HyperParameterTuningJobName"),
    "train": ("CreateTrainingJob", "TrainingJobName"),
    "model": ("CreateModel", "ModelName"),
    "config": ("CreateEndpointConfig", "EndpointConfigName"),
    "endpoint": ("CreateEndpoint", "EndpointName"),
}
NAMES = [
    "demo",
    "sly-fox",
    "Été à Zürich",
    "日本語",
    "",
    "---",
    "a_b.c/d",
    "x" * 500,
    "abcdefghijkl-mnop",
    "'; rm -rf ~; '",
    "9 lives",
    "İstanbul ﬁn",
]


def identity(name: str, flow_run_id: str = "0e5a") -> RunIdentity:
    return RunIdentity(name=name, token=run_token(flow_run_id), flow_run_id=flow_run_id)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("attempt", [1, 2, 9, 10, 99])
@pytest.mark.parametrize("step", STEPS)
def test_names_keep_the_limits_and_patterns_of_the_service(name, step, attempt):
    operation, member = STEPS[step]
    shape = service_model("sagemaker").operation_model(operation).input_shape.members[member]
    found = resource_name(identity(name), step, attempt)
    assert len(found) <= (32 if step == "tune" else 63)
    assert len(found) <= shape.metadata["max"]
    assert java_pattern(shape.metadata["pattern"]).fullmatch(found)


@pytest.mark.parametrize("name", NAMES)
def test_all_names_of_a_run_share_its_prefix(name):
    run = identity(name)
    names = {resource_name(run, step, attempt) for step in STEPS for attempt in (1, 2, 12)}
    assert len(names) == 15
    assert all(found.startswith(f"{run.prefix}-") for found in names)
    assert run.prefix.endswith(run.token)


def test_names_are_the_same_each_time_and_differ_between_runs():
    assert resource_name(identity("demo"), "train") == resource_name(identity("demo"), "train")
    assert resource_name(identity("demo"), "train") != resource_name(identity("demo", "1"), "train")
    assert resource_name(identity("demo"), "train", 2) == f"{identity('demo').prefix}-train-2"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("attempt", [1, 2, 10, 99])
def test_the_step_of_a_job_is_told_by_its_name(name, attempt):
    run = identity(name)
    for step in JOB_STEPS:
        question = "0a1b2c" if step == "improve" else None
        job = resource_name(run, step, attempt, question=question)
        assert step_of(run, job) == step
        assert step_of(run, job.upper()) == step
        assert step_of(identity(name, "1"), job) is None
        trial = f"{job}-001-0a1b2c3d"
        assert step_of(run, trial) is None
        assert step_of(run, trial, trials=True) == ("tune" if step == "tune" else None)


@pytest.mark.parametrize(
    "end", ["train-", "train-x", "improve", "improve-0a1b2", "endpoint", "model", "train-100"]
)
def test_what_is_no_job_of_the_run_has_no_step(end):
    run = identity("demo")
    assert step_of(run, f"{run.prefix}-{end}", trials=True) is None
    assert step_of(run, f"x{run.prefix}-train") is None


def test_token_is_short_hexadecimal_and_stable():
    assert re.fullmatch("[0-9a-f]{6}", run_token("any"))
    # Written down: a token that changes with a version would lose the jobs of running runs.
    assert run_token("0e5a") == "3c4724"


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("Dog Breeds!", 40, "dog-breeds"),
        ("Été à Zürich", 40, "ete-a-zurich"),
        ("a--b__c", 40, "a-b-c"),
        ("abc-def", 4, "abc"),
        ("日本語", 40, "run"),
    ],
)
def test_slug(text, most, expected):
    assert slug(text, most) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("demo", "demo"),
        ("Été à Zürich", "Été à Zürich"),
        ("E\u0301te\u0301", "Été"),  # decomposed: a combining accent is no letter to SageMaker
        ("../../etc", "-..-etc"),
        ("a/b\\c", "a-b-c"),
        ("it's", "it-s"),
        (".lock", "lock"),
        ("..", "-run"),
        ("", "-run"),
        ("latest", "latest-run"),
    ],
)
def test_folder_name(text, expected):
    assert folder_name(text) == expected


@pytest.mark.parametrize("text", [*NAMES, "é" * 300, "\x00\n", "👩‍🔬"])
def test_folder_names_are_one_folder_and_a_tag_value(text):
    found = folder_name(text)
    assert found == folder_name(found)
    assert "/" not in found
    assert not found.startswith(".")
    assert len(f"{found}-abcdef".encode()) < 255
    tags = service_model("sagemaker").operation_model("AddTags").input_shape.members["Tags"]
    assert java_pattern(tags.member.members["Value"].metadata["pattern"]).fullmatch(found)
