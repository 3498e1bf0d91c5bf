"""The command lines that apply a verdict's change to a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from platforms.errors import shown
from tasks.parameters.command_line import words_of
from tasks.parameters.options import RUN_OPTIONS
from tasks.parameters.run import RUN_PARAMETERS
from tasks.parameters.typed_path import with_typed


def change_commands(
    run: str, parameters: Mapping[str, Any], change: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return labelled command lines: measure the change first, or run everything with it.

    The second is left out for a flow that is not ``release_model``, for parameters that
    ``whippet run`` has no option for (it would not be the same run), and where nothing would be
    left to search.
    """
    if not change:
        return []
    commands = [
        (
            "First measure the change in a short A/B comparison",
            shlex.join(["whippet", "improve", run]),
        )
    ]
    again = _run_again(parameters, change) if "tuning" in parameters else None
    if again is not None:
        label = f"Run everything again with the change{_typed_in(parameters)}"
        commands.append((label, shlex.join(again)))
    return commands


def _typed_in(parameters: Mapping[str, Any]) -> str:
    """Return where the command means what it meant, if it names a path that is relative."""
    groups = (with_typed(_differences(name, parameters.get(name))) for name in RUN_PARAMETERS)
    folders = sorted(set().union(*(folders for _, folders in groups)))
    return f", in the folder {' and '.join(map(shown, folders))}" if folders else ""


def _run_again(parameters: Mapping[str, Any], change: Mapping[str, Any]) -> list[str] | None:
    groups = {
        name: with_typed(_differences(name, parameters.get(name)))[0] for name in RUN_PARAMETERS
    }
    tuning, training = groups["tuning"], groups["training"]
    fixed = {**tuning.pop("fixed", {}), **training.pop("hyperparameters", {}), **change}
    ranges = tuning.pop("ranges", None) or {}
    needed = _preconditions(change).items()
    fixed |= {name: value for name, value in needed if name in ranges}
    # A hyperparameter is either searched or fixed.
    kept = {name: span for name, span in ranges.items() if name not in fixed}
    if not _is_accepted(parameters, fixed, kept) or (ranges and not kept):
        return None  # another search than this run's, or none at all
    tuning["ranges"], tuning["fixed"] = kept or None, fixed
    training["hyperparameters"] = fixed
    if isinstance(training.get("debugger"), bool):  # in a record of an earlier version
        training["debugger"] = None if training["debugger"] else "off"
    words = words_of(RUN_OPTIONS, groups)
    return None if words is None else ["whippet", "run", *words]


def _preconditions(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a change needs in every trial, though the trained job had it by chance."""
    if str(change.get("cache_features")).lower() == "true":
        return {"augmentation": "none", "trainable": "head"}
    return {}


def _is_accepted(
    parameters: Mapping[str, Any], fixed: Mapping[str, Any], ranges: Mapping[str, Any]
) -> bool:
    """Return whether the flow takes these parameters: a printed command must be one that runs."""
    tuning = {**(parameters["tuning"] or {}), "fixed": fixed, "ranges": ranges or None}
    training = {**(parameters.get("training") or {}), "hyperparameters": fixed}
    try:
        RUN_PARAMETERS["tuning"].model_validate(tuning)
        RUN_PARAMETERS["training"].model_validate(training)
    except ValidationError:
        return False
    return True


def _differences(group: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the group's parameters that differ from their defaults."""
    defaults = RUN_PARAMETERS[group]().model_dump(mode="json")
    return {
        name: value
        for name, value in (values or {}).items()
        if name in defaults and value != defaults[name]
    }
