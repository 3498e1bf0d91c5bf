"""``whippet run``: the whole pipeline from the shell."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from typing import Any, cast

from coolname import generate_slug

from cli.console import quiet_console
from cli.preflight import check_before_run
from cli.server.choosing import ui_and_password, ui_url, use_server
from cli.table import print_table
from platforms import Settings
from platforms.errors import ParameterError
from sm_entrypoints.contract.sentences import did_you_mean, nearest
from tasks.costs.ledger import cost_sentence, stage_rows
from tasks.parameters.command_line import parameters_of
from tasks.parameters.options import RUN_OPTIONS
from tasks.parameters.recorded import recorded_parameters
from tasks.parameters.run import RUN_PARAMETERS, DataParameters, ModelParameters, Parameters
from tasks.parameters.typed_path import with_typed
from tasks.runs.names import folder_name
from tasks.runs.record import read_run, run_folder
from tasks.runs.record_model import RunRecord


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
        return recorded_parameters(_known_run(settings, arguments.resume))
    if arguments.name and (run_folder(settings, folder_name(arguments.name))).exists():
        raise ParameterError(
            f"run {arguments.name!r} exists: choose another --name, or --resume it"
        )
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
            f"--resume {arguments.resume!r} uses that run's options: leave out "
            f"{', '.join(sorted(given)) or '--name'}, or start a new run"
        )


def _known_run(settings: Settings, name: str) -> RunRecord:
    try:
        return read_run(settings, folder_name(name))
    except FileNotFoundError as error:
        runs = [path.name for path in settings.runs.glob("[!.]*")]
        hint = f": {meant}" if (meant := did_you_mean(nearest(name, runs))) else ""
        raise ParameterError(f"there is no run {name!r} in {settings.runs}{hint}") from error


def from_options(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the flow's parameters that the command line's options stand for."""
    return parameters_of(RUN_OPTIONS, vars(arguments))


def print_summary(settings: Settings, record: RunRecord, api_url: str) -> None:
    """Print what a person wants at the end of a run, each on a line of its own.

    The run completed: every stage has given its part of the record.
    """
    best, query, tested, deployed = record.best, record.query, record.evaluation, record.endpoint
    assert best is not None
    assert query is not None
    assert tested is not None
    assert deployed is not None
    tuned = {name: best.hyperparameters[name] for name in best.tuned}
    answers = ", ".join(f"{p.label} {p.probability:.2f}" for p in query.predictions[:3])
    lines = {
        "run": record.name,
        "Prefect UI": f"{ui_url(api_url)}/runs/flow-run/{record.flow_run_id}",
        "best": ", ".join(f"{name}={value}" for name, value in tuned.items())
        + f"  ({best.training_job}, valid:loss {best.objective:.4f})",
        "test accuracy": f"{tested.accuracy:.1%} of {tested.samples} images",
        **_left_out(record),
        "verdict": _verdict(record),
        "report": str(record.report),
        "endpoint": f"{deployed.endpoint}, until {deployed.expires}",
        "answer": f"{query.image} → {answers}",
        "cost": cost_sentence(record) or "-",
        "seconds": ", ".join(f"{name} {value:.0f}" for name, value in record.seconds.items()),
        "everything": str(run_folder(settings, record.name)),
    }
    print(flush=True)
    for name, value in lines.items():
        print(f"{name:>14}  {value}")
    print("\nWhat it used" + ("" if record.bills else ", at the prices of AWS"))
    print_table(stage_rows(record), empty="nothing")
    print(f"\nQuery it yourself:\n  {query.command}", flush=True)


def _left_out(record: RunRecord) -> dict[str, str]:
    data = record.data
    if data.left_out is None:
        return {}
    files = "1 bad file" if data.left_out == 1 else f"{data.left_out} bad files"
    return {"left out": f"{files}, listed in {data.left_out_list}"}


def _verdict(record: RunRecord) -> str:
    verdict = record.verdict
    if verdict is None:
        return "-"
    advice = f"  (measure it: {_improve(record.name)})" if verdict.change else ""
    return f"{verdict.sentence}{advice}"


def _improve(name: str) -> str:
    return shlex.join(["whippet", "improve", name])
