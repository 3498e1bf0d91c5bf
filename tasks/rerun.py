"""The command lines that apply a verdict's change to a run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.parameters import (
    DataParameters,
    DeploymentParameters,
    ModelParameters,
    Parameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)

# Where `whippet run` has an option for a parameter of the flow.
_OPTIONS = {
    ("data", "path"): "--data",
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
_MODELS: dict[str, type[Parameters]] = {
    "data": DataParameters,
    "model": ModelParameters,
    "tuning": TuningParameters,
    "training": TrainingParameters,
    "deployment": DeploymentParameters,
    "resources": ResourceParameters,
}
_SCALES = {"Logarithmic": ":log", "Linear": ":linear"}


def change_commands(
    run: str, parameters: Mapping[str, Any], change: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return labelled command lines: measure the change first, or run everything with it.

    The second is left out for a flow that is not ``release_model`` and for parameters that
    ``whippet run`` has no option for: it would not be the same run.
    """
    if not change:
        return []
    commands = [
        ("Measure the change in a short A/B first", shlex.join(["whippet", "improve", run]))
    ]
    again = _run_again(parameters, change) if "tuning" in parameters else None
    if again is not None:
        commands.append(("Run all of it again with the change", shlex.join(again)))
    return commands


def _run_again(parameters: Mapping[str, Any], change: Mapping[str, Any]) -> list[str] | None:
    groups = {name: _differences(name, parameters.get(name)) for name in _MODELS}
    fixed = {
        **groups["tuning"].pop("fixed", {}),
        **groups["training"].pop("hyperparameters", {}),
        **change,
    }
    ranges = groups["tuning"].pop("ranges", None) or {}
    seeds = {
        values.pop("seed") for values in (groups["data"], groups["tuning"]) if "seed" in values
    }
    rules = groups["training"].pop("rules", {})
    spot = groups["resources"].pop("spot", False)
    words = ["whippet", "run"]
    words += ["--spot"] if spot else []
    debugger = groups["training"].pop("debugger", None)
    if debugger is not None:
        words += ["--debugger", "off" if debugger is False else str(debugger)]
    for name, values in groups.items():
        for parameter, value in values.items():
            option = _OPTIONS.get((name, parameter))
            if option is None:
                return None
            words += [option, str(value)]
    if len(seeds) > 1:
        return None
    words += [word for seed in seeds for word in ("--seed", str(seed))]
    # A hyperparameter is either searched or fixed.
    kept = {name: span for name, span in ranges.items() if name not in fixed}
    words += [word for rule, action in rules.items() for word in ("--rule", f"{rule}={action}")]
    words += [word for text in _ranges(kept) for word in ("--range", text)]
    settings = [f"{name}={_value(value)}" for name, value in fixed.items()]
    return words + [word for text in settings for word in ("--set", text)]


def _differences(group: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the group's parameters that differ from their defaults."""
    defaults = _MODELS[group]().model_dump(mode="json")
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
