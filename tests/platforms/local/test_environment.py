from __future__ import annotations

import pytest

from platforms.local.environment import (
    arguments,
    decode,
    program,
    submit_directory,
    unknown_framework_parameters,
)
from platforms.local.job_tree import JobTreeError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ('"4"', "4"),
        ("0.10", 0.1),
        ("true", True),
        ("True", "True"),
        ("null", None),
        ("adam", "adam"),
        ("", ""),
        ("007", "007"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("[1, 2]", [1, 2]),
        ("s3://b/k", "s3://b/k"),
    ],
)
def test_decode(text: str, value: object) -> None:
    assert decode(text) == value
    assert type(decode(text)) is type(value)


def test_arguments_are_sorted_strings() -> None:
    request = {"HyperParameters": {"z": "null", "lr": "1e-3", "a_b": '"x y"', "sagemaker_x": "1"}}
    assert arguments(request) == ["--a_b", "x y", "--lr", "0.001", "-z", ""]
    assert arguments({}) == []


@pytest.mark.parametrize("name", [None, "", "train", "/etc/train.py", "../train.py", "4"])
def test_programs_that_are_none(name: str | None) -> None:
    request = {"HyperParameters": {} if name is None else {"sagemaker_program": name}}
    with pytest.raises(JobTreeError, match="sagemaker_program"):
        program(request)


def test_plain_and_quoted_names() -> None:
    for name in ("a/train.py", '"a/train.py"'):
        assert str(program({"HyperParameters": {"sagemaker_program": name}})) == "a/train.py"
    for uri in ("s3://b/k", '"s3://b/k"'):
        assert submit_directory({"HyperParameters": {"sagemaker_submit_directory": uri}}) == (
            "s3://b/k"
        )
    with pytest.raises(JobTreeError, match="/opt/ml/code"):
        submit_directory({"HyperParameters": {"sagemaker_submit_directory": "/opt/ml/code"}})


def test_what_the_toolkit_would_do_and_we_do_not() -> None:
    request = {
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_container_log_level": "10",
            "sagemaker_job_name": '"pets"',
            "sagemaker_estimator_class_name": '"PyTorch"',
            "sagemaker_torch_distributed_enabled": "true",
            "sagemaker_mpi_enabled": "false",
        }
    }
    assert unknown_framework_parameters(request) == ["sagemaker_torch_distributed_enabled"]
