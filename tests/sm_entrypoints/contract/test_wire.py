from __future__ import annotations

import math

import pytest

from sm_entrypoints.contract.wire import (
    OBJECTIVE_KEY,
    Value,
    decode,
    from_wire,
    is_sagemakers,
    to_wire,
)


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
        ("-Infinity", -math.inf),
        ("[1, 2]", [1, 2]),
        ("s3://b/k", "s3://b/k"),
    ],
)
def test_decode(text: str, value: object) -> None:
    assert decode(text) == value
    assert type(decode(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [('"4"', 4), ("4", 4), ('"adam"', "adam"), ("'\"4\"'", "'\"4\"'"), (4, 4), ('"[1"', "[1")],
)
def test_what_a_search_quoted_once_more(text: object, value: object) -> None:
    assert decode(text, times=2) == value


@pytest.mark.parametrize("name", ["sagemaker_program", OBJECTIVE_KEY])
def test_names_that_nobody_chose(name: str) -> None:
    assert is_sagemakers(name)
    assert not is_sagemakers(f"my_{name}")


@pytest.mark.parametrize(
    "value",
    [0, 4, -1, 2**40, 0.1, 1e-7, 3e-4, 1 / 3, -0.5, True, False, "adamw", "s3://b/k x", "", "é"],
)
def test_values_survive_the_wire_with_their_type(value: Value) -> None:
    wire = to_wire({"a": value})
    assert all(isinstance(text, str) for text in wire.values())
    back = from_wire(wire)["a"]
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"4"', 4),
        ('"adam"', "adam"),
        ('"\\"adam\\""', "adam"),
        ('"0.001"', 0.001),
        ("32", 32),
        ("true", True),
        ("null", "null"),
        ("[1, 2]", "[1, 2]"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("1e999", "1e999"),
        ("resnet18", "resnet18"),
    ],
)
def test_wire_values_are_read_as_people_mean_them(text: str, expected: object) -> None:
    found = from_wire({"x": text})["x"]
    assert found == expected
    assert type(found) is type(expected)


def test_keys_of_sagemaker_itself_are_dropped() -> None:
    wire = {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": "s3://b/x",
        "_tuning_objective_metric": "valid:loss",
        "lr": "0.1",
    }
    assert from_wire(wire) == {"lr": 0.1}
