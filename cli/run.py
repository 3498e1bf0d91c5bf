"""``whippet run``: the whole pipeline from the shell."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping
from typing import Any, cast

from coolname import generate_slug
from pydantic import ValidationError

from cli.console import quiet_console
from cli.options.endpoint import endpoint_choices
from cli.options.run import data_choices, resource_choices
from cli.preflight import check_before_run
from cli.server.choosing import ui_and_password, ui_url, use_server
from cli.table import print_table
from platforms import Settings
from platforms.errors import ParameterError
from sm_entrypoints.contract.sentences import did_you_mean, nearest
from tasks.costs.ledger import PLAN, cost_sentence, stage_rows
from tasks.job_environment.weights import IMAGENET, NONE
from tasks.parameters.ranges import (
    CategoricalRange,
    ContinuousRange,
    IntegerRange,
    SearchRange,
    Value,
)
from tasks.parameters.run import RUN_PARAMETERS, DataParameters, ModelParameters, Parameters
from tasks.parameters.typed_path import TypedPath, expanded, with_typed
from tasks.runs.names import folder_name
from tasks.runs.record import read_run, run_folder


def run(arguments: argparse.Namespace) -> int:
    """Run ``release_model`` in this process; print what it made. Ctrl-C stops its jobs."""
    if arguments.platform:
        # Every task reads its settings anew, from here.
        os.environ["WHIPPET_PLATFORM"] = arguments.platform
    settings = Settings()
    parameters = _parameters(settings, arguments)
    # A mistake must not cost a server, let alone a job.
    data = cast(DataParameters, parameters["data"])
    check_before_run(settings, data, cast(ModelParameters, parameters["model"]))
    api_url = use_server(settings)
    # Prefect reads its settings when it is imported.
    from cli.billing import print_billing
    from cli.flow_run import run_release

    if not arguments.debug:
        quiet_console()

    print(f"Prefect UI: {ui_and_password(settings, api_url)}", file=sys.stderr)
    name = folder_name(arguments.resume or arguments.name or _new_name(settings))
    try:
        record = run_release(settings, parameters, name, resume=arguments.resume is not None)
    finally:
        print_billing(settings)  # of a run that failed, too
    print_summary(settings, record, api_url)
    return 0


def _new_name(settings: Settings) -> str:
    names = iter(lambda: str(generate_slug(2)), "")
    return next(name for name in names if not run_folder(settings, name).exists())


def _parameters(settings: Settings, arguments: argparse.Namespace) -> dict[str, Parameters]:
    if arguments.resume is not None:
        _refuse_options(arguments)
        chosen = _known_run(settings, arguments.resume)["parameters"]
    elif arguments.name and (run_folder(settings, folder_name(arguments.name))).exists():
        raise ParameterError(
            f"run {arguments.name!r} exists: choose another --name, or --resume it"
        )
    else:
        chosen = from_options(arguments)
    return {
        name: model.model_validate(chosen.get(name) or {}) for name, model in RUN_PARAMETERS.items()
    }


def _refuse_options(arguments: argparse.Namespace) -> None:
    given = [
        f"{group}.{name}"
        for group, values in from_options(arguments).items()
        for name in with_typed(values)[0]
    ]
    if arguments.name or given:
        raise ParameterError(
            f"--resume {arguments.resume!r} goes on with the options of that run: leave out "
            f"{', '.join(sorted(given)) or '--name'}, or start a new run"
        )


def _known_run(settings: Settings, name: str) -> dict[str, Any]:
    try:
        return read_run(settings, folder_name(name))
    except FileNotFoundError as error:
        runs = [path.name for path in settings.runs.glob("[!.]*")]
        hint = f": {meant}" if (meant := did_you_mean(nearest(name, runs))) else ""
        raise ParameterError(f"there is no run {name!r} in {settings.runs}{hint}") from error


def from_options(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the flow's parameters that the command line's options stand for."""
    fixed = dict(assignment(text) for text in arguments.set)
    ranges = dict(_range(text) for text in arguments.range)
    seed = arguments.seed
    groups = {
        "data": {
            **_from_anywhere("path", arguments.data),
            "seed": seed,
            **data_choices(arguments),
        },
        "model": {
            "architecture": arguments.model,
            **_from_anywhere("weights", arguments.weights, IMAGENET, NONE),
            "trainable": arguments.trainable,
            "image_size": arguments.image_size,
        },
        "tuning": {
            "max_jobs": arguments.max_jobs,
            "max_parallel_jobs": arguments.max_parallel_jobs,
            "max_epochs": arguments.max_epochs,
            "strategy": arguments.strategy,
            "early_stopping": arguments.early_stopping,
            "preset": arguments.preset,
            "ranges": {name: span.model_dump() for name, span in ranges.items()} or None,
            "fixed": fixed or None,
            "seed": seed,
        },
        "training": {
            "epochs": arguments.epochs,
            "hyperparameters": fixed or None,
            "debugger": arguments.debugger,
            "rules": dict(_rule_action(text) for text in arguments.rule) or None,
        },
        "deployment": endpoint_choices(arguments),
        "resources": resource_choices(arguments),
    }
    return {
        name: {key: value for key, value in group.items() if value is not None}
        for name, group in groups.items()
    }


def _from_anywhere(name: str, path: str | None, *words: str) -> dict[str, Any]:
    """Return the parameter of a path, and how it was typed.

    A path that is there becomes an absolute one: a run may be resumed from another folder.
    """
    if not path or path in words or not expanded(path).exists():
        return {name: path}
    typed = TypedPath.here(path)
    if typed.resolved == path:
        return {name: path}
    return {name: typed.resolved, f"{name}_typed": typed.model_dump()}


def assignment(text: str, option: str = "--set") -> tuple[str, Value]:
    """Return the name and the typed value of ``NAME=VALUE``.

    Raises:
        ParameterError: it is not of that form; names the ``option``.
    """
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise ParameterError(
            f"{option} {text!r}: write NAME=VALUE, such as {option} optimizer=adamw"
        )
    return name, _number(value)


def _rule_action(text: str) -> tuple[str, str]:
    name, equals, action = text.partition("=")
    if not equals or not name or not action:
        raise ParameterError(
            f"--rule {text!r}: write NAME=ACTION, such as --rule ExplodingTensor=stop"
        )
    return name, action


def _number(text: str) -> Value:
    for read in (json.loads, float):  # JSON first: 1 is whole, true is a truth value
        try:
            value = read(text)
        except ValueError:
            continue
        if isinstance(value, bool | int | float):
            return value
    return text


def _range(text: str) -> tuple[str, SearchRange]:
    name, equals, span = text.partition("=")
    low, *rest = span.split(":")
    if equals and name and rest and len(rest) <= 2:
        return name, _bounds(text, _number(low), _number(rest[0]), rest[1:])
    values = span.split(",")
    if equals and name and all(values) and not rest:
        return name, CategoricalRange(values=[_number(value) for value in values])
    raise ParameterError(
        f"--range {text!r}: write NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A,B,C, "
        f"such as --range lr=1e-4:1e-2:log --range batch_size=16,32"
    )


def _bounds(text: str, low: Value, high: Value, scaling: list[str]) -> SearchRange:
    if isinstance(low, str | bool) or isinstance(high, str | bool):
        raise ParameterError(f"--range {text!r}: the bounds must be numbers")
    if scaling not in ([], ["log"], ["linear"]):
        raise ParameterError(f"--range {text!r}: the scale is log or linear")
    kind = IntegerRange if isinstance(low, int) and isinstance(high, int) else ContinuousRange
    name = {"log": "Logarithmic", "linear": "Linear"}.get("".join(scaling), "Auto")
    try:
        return kind.model_validate({"min": low, "max": high, "scaling": name})
    except ValidationError as error:
        reasons = "; ".join(problem["msg"] for problem in error.errors())
        raise ParameterError(f"--range {text!r}: {reasons}") from error


def print_summary(settings: Settings, record: dict[str, Any], api_url: str) -> None:
    """Print what a person wants at the end of a run, each on a line of its own."""
    best, query = record["best"], record["query"]
    tuned = {name: best["hyperparameters"][name] for name in best["tuned"]}
    answers = ", ".join(f"{p['label']} {p['probability']:.2f}" for p in query["predictions"][:3])
    lines = {
        "run": record["name"],
        "Prefect UI": f"{ui_url(api_url)}/runs/flow-run/{record['flow_run_id']}",
        "best": ", ".join(f"{name}={value}" for name, value in tuned.items())
        + f"  ({best['training_job']}, valid:loss {best['objective']:.4f})",
        "test accuracy": f"{record['evaluation']['accuracy']:.1%} of "
        f"{record['evaluation']['samples']} images",
        **_left_out(record),
        "verdict": _verdict(record),
        "report": record["report"],
        "endpoint": f"{record['endpoint']['endpoint']}, until {record['endpoint']['expires']}",
        "answer": f"{query['image']} → {answers}",
        "cost": cost_sentence(record) or "-",
        "seconds": ", ".join(f"{name} {value:.0f}" for name, value in record["seconds"].items()),
        "everything": str(run_folder(settings, record["name"])),
    }
    print(flush=True)
    for name, value in lines.items():
        print(f"{name:>14}  {value}")
    print(
        "\nWhat it used" + ("" if record.get(PLAN, {}).get("bills") else ", at the prices of AWS")
    )
    print_table(stage_rows(record), empty="nothing")
    print(f"\nQuery it yourself:\n  {query['command']}", flush=True)


def _left_out(record: Mapping[str, Any]) -> dict[str, str]:
    data = record.get("data", {})
    if "left_out" not in data:
        return {}
    files = "1 bad file" if data["left_out"] == 1 else f"{data['left_out']} bad files"
    return {"left out": f"{files}, listed in {data['left_out_list']}"}


def _verdict(record: Mapping[str, Any]) -> str:
    found = record.get("verdict")
    if not found:
        return "-"
    advice = f"  (measure it: {_improve(record['name'])})" if found["change"] else ""
    return f"{found['sentence']}{advice}"


def _improve(name: str) -> str:
    return shlex.join(["whippet", "improve", name])
