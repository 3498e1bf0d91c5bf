"""How hyperparameters, ranges, rules and splits are written on the command line: read and write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from platforms.errors import ParameterError
from sm_entrypoints import contract
from tasks.parameters.ranges import (
    CategoricalRange,
    ContinuousRange,
    IntegerRange,
    SearchRange,
    Value,
)

_SCALES = {"": "Auto", "log": "Logarithmic", "linear": "Linear"}
_SUFFIXES = {scaling: f":{word}" for word, scaling in _SCALES.items() if word}


def assignment(text: str, flag: str = "--set") -> tuple[str, Value]:
    """Return the name and the typed value of ``NAME=VALUE``.

    Raises:
        ParameterError: it is not of that form; names the ``flag``.
    """
    name, _, value = text.partition("=")
    if not name or not value:
        raise ParameterError(f"{flag} {text!r}: write NAME=VALUE, such as {flag} optimizer=adamw")
    return name, _number(value)


def assigned(name: str, value: Value) -> str:
    """Return the text that :func:`assignment` reads."""
    return f"{name}={_written(value)}"


def rule_action(text: str) -> tuple[str, str]:
    """Return the rule and its action of ``NAME=ACTION``.

    Raises:
        ParameterError: it is not of that form.
    """
    name, _, action = text.partition("=")
    if not name or not action:
        raise ParameterError(
            f"--rule {text!r}: write NAME=ACTION, such as --rule ExplodingTensor=stop"
        )
    return name, action


def split_folder(text: str) -> tuple[str, str]:
    """Return the split and its folder of ``SPLIT=FOLDER``.

    Raises:
        ParameterError: it is not of that form, or there is no such split.
    """
    split, _, folder = text.partition("=")
    if not folder or split not in contract.SPLITS:
        raise ParameterError(
            f"--split {text!r}: write train=FOLDER, valid=FOLDER or test=FOLDER, "
            "such as --split train=Training"
        )
    return split, folder


def search_range(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the range of ``NAME=LOW:HIGH``, ``NAME=LOW:HIGH:log`` or ``NAME=A,B,C``.

    Raises:
        ParameterError: it is not of that form, or nothing can be searched in it.
    """
    name, _, span = text.partition("=")
    low, *rest = span.split(":")
    if name and rest and len(rest) <= 2:
        return name, _bounds(text, _number(low), _number(rest[0]), rest[1:]).model_dump()
    values = span.split(",")
    if name and all(values) and not rest:
        return name, CategoricalRange(values=[_number(value) for value in values]).model_dump()
    raise ParameterError(
        f"--range {text!r}: write NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A,B,C, "
        f"such as --range lr=1e-4:1e-2:log --range batch_size=16,32"
    )


def ranged(name: str, span: Mapping[str, Any]) -> str:
    """Return the text that :func:`search_range` reads, of a range as it is recorded."""
    if "values" in span:
        return f"{name}={','.join(map(_written, span['values']))}"
    scale = _SUFFIXES.get(str(span.get("scaling")), "")
    return f"{name}={_written(span['min'])}:{_written(span['max'])}{scale}"


def _bounds(text: str, low: Value, high: Value, scale: list[str]) -> SearchRange:
    if isinstance(low, str | bool) or isinstance(high, str | bool):
        raise ParameterError(f"--range {text!r}: the bounds must be numbers")
    word = "".join(scale)
    if word not in _SCALES or (scale and not word):
        raise ParameterError(f"--range {text!r}: the scale is log or linear")
    kind = IntegerRange if isinstance(low, int) and isinstance(high, int) else ContinuousRange
    try:
        return kind.model_validate({"min": low, "max": high, "scaling": _SCALES[word]})
    except ValidationError as error:
        reasons = "; ".join(problem["msg"] for problem in error.errors())
        raise ParameterError(f"--range {text!r}: {reasons}") from error


def _number(text: str) -> Value:
    for read in (json.loads, float):  # JSON first: 1 is whole, true is a truth value
        try:
            value = read(text)
        except ValueError:
            continue
        if isinstance(value, bool | int | float):
            return value
    return text


def _written(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)
