from __future__ import annotations

import math

import pytest

from sm_entrypoints.contract.wire import OBJECTIVE_KEY, decode, is_sagemakers


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
