"""The command lines that apply a verdict's change to a run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from platforms.errors import shown
from tasks.parameters.run import RUN_PARAMETERS
from tasks.parameters.typed_path import with_typed

# Where `whippet run` has an option for a parameter of the flow.
_OPTIONS = {
    ("data", "path"): "--data",
    ("data", "name"): "--data-name",
    ("data", "valid_share"): "--valid-share",
    ("data", "test_share"): "--test-share",
    ("model", "architecture"): "--model",
    ("model", "weights"): "--weights",
    ("model", "trainable"): "--trainable",
    ("model", "image_size"): "--image-size",
    ("tuning", "max_jobs"): "--max-jobs",
    ("tuning", "max_parallel_jobs"): "--max-parallel-jobs",
    ("tuning", "max_epochs"): "--max-epochs",
    ("tuning", "strategy"): "--strategy",
    ("tuning", "early_stopping"): "--early-stopping",
    ("tuning", "preset"): "--preset",
    ("training", "epochs"): "--epochs",
    ("deployment", "hours_to_live"): "--hours-to-live",
    ("deployment", "instance_type"): "--endpoint-instance-type",
    ("resources", "instance_type"): "--instance-type",
    ("resources", "instance_count"): "--instance-count",
    ("resources", "max_runtime_seconds"): "--max-runtime",
    ("resources", "max_wait_seconds"): "--max-wait",
    ("resources", "keep_alive_seconds"): "--keep-alive",
    ("resources", "volume_gb"): "--volume-gb",
    ("resources", "max_usd"): "--max-usd",
}
_DATA_SWITCHES = {
    "convert": "--convert",
    "skip_bad": "--skip-bad",
    "delete_removed": "--delete-removed",
}
_SCALES = {"Logarithmic": ":log", "Linear": ":linear"}


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
        ("Measure the change in a short A/B first", shlex.join(["whippet", "improve", run]))
    ]
    again = _run_again(parameters, change) if "tuning" in parameters else None
    if again is not None:
        label = f"Run all of it again with the change{_typed_in(parameters)}"
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
    rules = training.pop("rules", {})
    switches = _switches(groups)
    seeds = {values.pop("seed") for values in (groups["data"], tuning) if "seed" in values}
    plain = _plain_options(groups)
    if plain is None or len(seeds) > 1:
        return None
    return [
        *("whippet", "run", *switches, *plain),
        *_repeated("--seed", map(str, seeds)),
        *_repeated("--rule", (f"{rule}={action}" for rule, action in rules.items())),
        *_repeated("--range", _ranges(kept)),
        *_repeated("--set", (f"{name}={_value(value)}" for name, value in fixed.items())),
    ]


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


def _switches(groups: Mapping[str, dict[str, Any]]) -> list[str]:
    """Take out what has an option without its value as a word; return those options."""
    spot = groups["resources"].pop("spot", False)
    debugger = groups["training"].pop("debugger", None)
    words = ["--spot"] if spot else []
    words += _data_switches(groups["data"])
    if debugger is not None:
        words += ["--debugger", "off" if debugger is False else str(debugger)]
    return words


def _data_switches(data: dict[str, Any]) -> list[str]:
    splits = data.pop("splits", None)
    words = ["--no-splits"] if splits == {} else []
    words += _repeated("--split", (f"{name}={path}" for name, path in (splits or {}).items()))
    return words + [option for name, option in _DATA_SWITCHES.items() if data.pop(name, False)]


def _plain_options(groups: Mapping[str, Mapping[str, Any]]) -> list[str] | None:
    """Return an option and its value for every parameter; None when one has no option."""
    words: list[str] = []
    for group, values in groups.items():
        for parameter, value in values.items():
            option = _OPTIONS.get((group, parameter))
            if option is None:
                return None
            is_like_option = str(value).startswith("-")
            words += [f"{option}={value}"] if is_like_option else [option, str(value)]
    return words


def _repeated(option: str, values: Iterable[str]) -> Iterator[str]:
    for value in values:
        yield from (option, value)


def _differences(group: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the group's parameters that differ from their defaults."""
    defaults = RUN_PARAMETERS[group]().model_dump(mode="json")
    return {
        name: value
        for name, value in (values or {}).items()
        if name in defaults and value != defaults[name]
    }


def _ranges(ranges: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, span in ranges.items():
        if "values" in span:
            yield f"{name}={','.join(map(_value, span['values']))}"
        else:
            scale = _SCALES.get(str(span.get("scaling")), "")
            yield f"{name}={_value(span['min'])}:{_value(span['max'])}{scale}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
