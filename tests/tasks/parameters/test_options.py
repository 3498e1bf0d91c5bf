"""The rows of the command line's options say what the models say."""

from __future__ import annotations

from decimal import Decimal
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest

from tasks.parameters.command_line import parameters_of, words_of
from tasks.parameters.improvement import ImprovementParameters
from tasks.parameters.option import Option
from tasks.parameters.options import IMPROVE_OPTIONS, RUN_OPTIONS
from tasks.parameters.run import RUN_PARAMETERS

MODELS = {**RUN_PARAMETERS, "improvement": ImprovementParameters}
ROWS = [
    (option, parameter)
    for option in (*RUN_OPTIONS, *IMPROVE_OPTIONS)
    for parameter in option.parameters.split()
]


def field_of(parameter: str):
    group, name = parameter.split(".")
    return MODELS[group].model_fields[name]


def annotation(parameter: str) -> Any:
    """The type of a parameter, without None."""
    kind = field_of(parameter).annotation
    kinds = [each for each in get_args(kind) if each is not NoneType]
    is_optional = get_origin(kind) is not Literal and NoneType in get_args(kind)
    return kinds[0] if is_optional else kind


def words(option: Option) -> set[str]:
    return {option.words.get(word, word) for word in option.choices}


@pytest.mark.parametrize(("option", "parameter"), ROWS, ids=lambda each: str(each)[:40])
def test_a_row_is_what_its_parameter_is(option: Option, parameter: str) -> None:
    field, kind = field_of(parameter), annotation(parameter)
    if option.default is not None:
        assert option.words.get(str(option.default), option.default) == field.default
    elif option.notation == "value":
        assert field.default is None
    if option.choices:
        assert words(option) == set(get_args(kind))
    elif get_origin(kind) is Literal:
        assert {type(each) for each in get_args(kind)} == {option.value_type}
    elif option.notation == "switch":
        assert (kind, field.default) == (bool, False)
    elif option.notation in ("value", "path"):
        # A sum of money stays text: a float would round it.
        assert option.value_type is (str if kind is Decimal or kind not in (int, float) else kind)
    else:
        assert get_origin(kind) is (list if option.notation == "list" else dict)


@pytest.mark.parametrize(("option", "parameter"), ROWS, ids=lambda each: str(each)[:40])
def test_the_form_says_what_the_command_line_says(option: Option, parameter: str) -> None:
    description = field_of(parameter).description
    assert description
    if option.notation in ("value", "switch", "path") and " " not in option.parameters:
        assert description.startswith(option.sentence)


def test_flags_and_parameters_are_said_once() -> None:
    for options in (RUN_OPTIONS, IMPROVE_OPTIONS):
        flags = [option.flag for option in options]
        flags += [option.alias.flag for option in options if option.alias]
        parameters = [each for option in options for each in option.parameters.split()]
        assert len(flags) == len(set(flags))
        assert len(parameters) == len(set(parameters))


# What each way of writing reads, beside what the parameter then is.
_GIVEN = {
    "switch": (True, True),
    "path": ("s3://bucket/l'été", "s3://bucket/l'été"),
    "list": (["a-search", "another"], ["a-search", "another"]),
    "split": (["train=fold 1"], {"train": "fold 1"}),
    "assignment": (["lr=0.1", "optimizer=sgd"], {"lr": 0.1, "optimizer": "sgd"}),
    "rule": (["DeadRelu=off"], {"DeadRelu": "off"}),
    "range": (["batch_size=16,32"], {"batch_size": {"type": "categorical", "values": [16, 32]}}),
}


@pytest.mark.parametrize("option", [*RUN_OPTIONS, *IMPROVE_OPTIONS], ids=lambda each: each.flag)
def test_what_an_option_reads_is_written_again(option: Option) -> None:
    word = option.choices[-1] if option.choices else option.value_type("1")
    given, value = _GIVEN.get(option.notation, (word, option.words.get(str(word), word)))
    parameters = parameters_of([option], {option.name: given})
    for parameter in option.parameters.split():
        group, name = parameter.split(".")
        assert parameters[group][name] == value
    if option.notation == "switch":
        assert words_of([option], parameters) == [option.flag]
        return
    texts = given if isinstance(given, list) else [str(given)]
    assert words_of([option], parameters) == [
        each for text in texts for each in (option.flag, text)
    ]


def test_what_was_not_given_is_no_parameter() -> None:
    arguments = dict.fromkeys((option.name for option in RUN_OPTIONS), None)
    assert parameters_of(RUN_OPTIONS, arguments) == {group: {} for group in RUN_PARAMETERS}


def test_words_that_would_be_another_run_are_not_written() -> None:
    assert words_of(RUN_OPTIONS, {"data": {"seed": 1}, "tuning": {"seed": 1}}) == ["--seed", "1"]
    assert words_of(RUN_OPTIONS, {"data": {"seed": 1}, "tuning": {"seed": 2}}) is None
    assert words_of(RUN_OPTIONS, {"data": {"seed": 1}}) is None
    assert words_of(RUN_OPTIONS, {"training": {"of_a_newer_version": 3}}) is None
