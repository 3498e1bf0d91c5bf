"""The command lines that apply a verdict's change to a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from platforms.errors import shown
from sm_entrypoints.contract.wire import Value
from tasks.parameters.command_line import words_of
from tasks.parameters.options import RUN_OPTIONS
from tasks.parameters.run import RUN_PARAMETERS
from tasks.parameters.typed_path import with_typed
from tasks.runs.record_model import RunRecord
from tasks.runs.record_parts import Json


def change_commands(
    run: str, parameters: Mapping[str, JsonValue], change: Mapping[str, Value]
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


def recorded_commands(record: RunRecord, change: Mapping[str, Value]) -> list[tuple[str, str]]:
    """Return :func:`change_commands` of a run by its record."""
    parameters = record.parameters
    if record.network is not None:  # the change is for this one, and need not suit a choice
        model = {**record.group("model"), "architecture": record.network.network}
        parameters = {**parameters, "model": model}
    return change_commands(record.name, parameters, change)


def next_run(record: RunRecord, change: Mapping[str, Value]) -> tuple[str, str] | None:
    """Return the command line that runs everything again with a change, after what it is for.

    None where there is none: see :func:`change_commands`.
    """
    commands = recorded_commands(record, change)[1:]
    return commands[0] if commands else None


def _typed_in(parameters: Mapping[str, JsonValue]) -> str:
    """Return where the command means what it meant, if it names a path that is relative."""
    groups = (with_typed(_differences(name, parameters.get(name))) for name in RUN_PARAMETERS)
    folders = sorted(set().union(*(folders for _, folders in groups)))
    return f", in the folder {' and '.join(map(shown, folders))}" if folders else ""


def _run_again(
    parameters: Mapping[str, JsonValue], change: Mapping[str, Value]
) -> list[str] | None:
    groups = {
        name: with_typed(_differences(name, parameters.get(name)))[0] for name in RUN_PARAMETERS
    }
    tuning, training = groups["tuning"], groups["training"]
    fixed = {
        **_group(tuning.pop("fixed", None)),
        **_group(training.pop("hyperparameters", None)),
        **change,
    }
    ranges = _group(tuning.pop("ranges", None))
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


def _preconditions(change: Mapping[str, Value]) -> dict[str, Value]:
    """Return what a change needs in every trial, though the trained job had it by chance."""
    if str(change.get("cache_features")).lower() == "true":
        return {"augmentation": "none", "trainable": "head"}
    return {}


def _is_accepted(
    parameters: Mapping[str, JsonValue],
    fixed: Mapping[str, JsonValue],
    ranges: Mapping[str, JsonValue],
) -> bool:
    """Return whether the flow takes these parameters: a printed command must be one that runs."""
    tuning = {**_group(parameters["tuning"]), "fixed": fixed, "ranges": ranges or None}
    training = {**_group(parameters.get("training")), "hyperparameters": fixed}
    try:
        RUN_PARAMETERS["tuning"].model_validate(tuning)
        RUN_PARAMETERS["training"].model_validate(training)
    except ValidationError:
        return False
    return True


def _differences(group: str, values: JsonValue) -> Json:
    """Return the group's parameters that differ from their defaults."""
    defaults = RUN_PARAMETERS[group]().model_dump(mode="json")
    return {
        name: value
        for name, value in _group(values).items()
        if name in defaults and value != defaults[name]
    }


def _group(value: JsonValue) -> Json:
    """Return a JSON object; empty for what is none, such as null."""
    return value if isinstance(value, dict) else {}
