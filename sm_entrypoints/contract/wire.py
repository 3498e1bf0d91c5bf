"""Hyperparameters on SageMaker's wire, where every value is text, some of it quoted as JSON.

Not for the names, types and bounds of ours: ``hyperparameters``. Standard library only.
"""

from __future__ import annotations

import json
from typing import Any

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
