"""Hyperparameters on SageMaker's wire, where every value is text, some of it quoted as JSON.

Not for the names, types and bounds of ours: ``hyperparameters``. Standard library only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

Value = bool | int | float | str

# SageMaker tells each trial which metric it is judged by.
OBJECTIVE_KEY = "_tuning_objective_metric"
SAGEMAKER_PREFIX = "sagemaker_"


def is_sagemakers(name: str) -> bool:
    """Say whether SageMaker or an SDK added a hyperparameter, rather than the user."""
    return name == OBJECTIVE_KEY or name.startswith(SAGEMAKER_PREFIX)


def decode(text: object, times: int = 1) -> Any:
    """Return the JSON value that ``text`` holds, or the text itself where it holds none.

    ``"4"`` → 4, ``'"4"'`` → "4", ``"adam"`` → "adam", ``"NaN"`` → the float. SDKs quote text, and
    a search quotes once more: ``times=2`` undoes both, ``'"4"'`` → 4.
    """
    value = text
    for _ in range(times):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except ValueError:
            break
    return value


def to_wire(values: Mapping[str, Value]) -> dict[str, str]:
    """Return SageMaker's string map: JSON for numbers and booleans, text as it is."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def from_wire(values: Mapping[str, str]) -> dict[str, Value]:
    """Return typed hyperparameters of a job by name, SageMaker's own keys dropped.

    Undoes the JSON quoting that SDKs and searches add (``'"4"'`` is 4), falling back to the text.
    """
    return {name: _typed(text) for name, text in sorted(values.items()) if not is_sagemakers(name)}


def _typed(text: str) -> Value:
    value = decode(text, times=2)
    # Not numbers to Python's JSON alone: NaN and Infinity stay text.
    number = isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
    return value if number or isinstance(value, str) else text
