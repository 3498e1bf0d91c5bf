from __future__ import annotations

from platforms.local.toolkit.hyperparameters import arguments


def test_arguments_are_sorted_strings() -> None:
    request = {"HyperParameters": {"z": "null", "lr": "1e-3", "a_b": '"x y"', "sagemaker_x": "1"}}
    assert arguments(request) == ["--a_b", "x y", "--lr", "0.001", "-z", ""]
    assert arguments({}) == []


def test_a_dictionary_and_a_list_on_the_command_line() -> None:
    request = {"HyperParameters": {"d": '{"b": "x", "a": 1}', "layers": "[1, 2]", "nan": "NaN"}}
    assert arguments(request) == ["-d", "a=1,b=x", "--layers", "[1, 2]", "--nan", "nan"]
