"""Find the state dictionary in what a checkpoint file holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

# Where training scripts put it, the likeliest first.
_WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "model_state",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "ema",
)
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)|Unsupported (?:class|global) ([\w.]+)", re.IGNORECASE)


class StateError(ValueError):
    """Raised when a file holds no state dictionary; the message says what it holds instead."""


def state_in(loaded: Any) -> dict[str, Tensor]:
    """Return the state dictionary in what ``torch.load`` gave, out of its wrappers.

    Raises:
        StateError: there is none, or one of several could be meant.
    """
    while True:
        if not isinstance(loaded, Mapping) or not loaded:
            raise StateError(f"does not hold a state_dict but a {type(loaded).__name__}")
        if all(isinstance(value, Tensor) for value in loaded.values()):
            return {str(name): tensor for name, tensor in loaded.items()}
        loaded = _inner(loaded)


def _inner(loaded: Mapping[Any, Any]) -> Any:
    for name in _WRAPPERS:
        if isinstance(loaded.get(name), Mapping) and loaded[name]:
            return loaded[name]
    states = {
        str(name): value
        for name, value in loaded.items()
        if isinstance(value, Mapping)
        and value
        and all(isinstance(each, Tensor) for each in value.values())
    }
    if len(states) == 1:
        return next(iter(states.values()))
    if states:
        raise StateError(
            f"holds several state_dicts ({', '.join(sorted(states))}): save only the intended one"
        )
    strange = [name for name, value in loaded.items() if not isinstance(value, Tensor)]
    raise StateError(f"is not a state_dict: {strange[:3]} are not tensors; save model.state_dict()")


def refused(problem: str) -> str:
    """Explain why a file was not read, from the message of ``torch.load``.

    A pickle of Python objects can run any code, so it is not read at all.
    """
    match = _GLOBAL.search(problem)
    if match:
        what = match[1] or match[2]
        return (
            f"it holds a Python object ({what}) beside tensors, which is not loaded, because "
            "that could run any code: load it where it was made, and save only "
            "model.state_dict()"
        )
    if "TorchScript" in problem:
        return "it is a TorchScript archive: save model.state_dict() instead"
    return problem.strip().splitlines()[0] if problem.strip() else "it is empty or damaged"
