"""``whippet run``: the whole pipeline from the shell."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import chain, count
from threading import Thread
from typing import TYPE_CHECKING, cast

from cli.options import add_run_options, from_options
from platforms.errors import ParameterError
from sm_entrypoints.contract.sentences import did_you_mean, nearest

if TYPE_CHECKING:
    from platforms import Settings
    from tasks.approval.asking import Asker
    from tasks.parameters.run import (
        DataParameters,
        DeploymentParameters,
        ModelParameters,
        Parameters,
    )
    from tasks.plan.redo import RedoStep
    from tasks.runs.record_model import RunRecord

# Nothing failed, and there is no endpoint.
EXIT_REFUSED = 3

HELP = "sync, tune, train, report, deploy and query: the whole pipeline on a folder of images"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--name", help="name of the run (default: a new one)")
    parser.add_argument("--resume", metavar="RUN", help="resume a run that did not finish")
    parser.add_argument(
        "--from-step",
        metavar="STEP",
        help="with --resume: do tune, train or deploy again, and what follows it; its jobs so far "
        "are left as evidence, its endpoint is removed",
    )
    parser.add_argument(
        "--yes", action="store_true", help="answer the question of --approve with yes"
    )
    add_run_options(parser)


def command(arguments: argparse.Namespace) -> int:
    """Run ``release_model`` in this process; print what it made. Ctrl-C stops its jobs.

    Returns 3 when a person refused to deploy the model.
    """
    from cli.approval import asker_of
    from cli.preflight import check_before_run, check_choices
    from platforms import Settings

    if arguments.platform:
        # Every task reads its settings anew, from here.
        os.environ["WHIPPET_PLATFORM"] = arguments.platform
    settings = Settings()
    parameters = _parameters(settings, arguments)
    # A mistake must not cost a server, let alone a job.
    ask = asker_of(cast("DeploymentParameters", parameters["deployment"]), yes=arguments.yes)
    if arguments.resume is None:
        check_choices(parameters)
    data = cast("DataParameters", parameters["data"])
    check_before_run(settings, data, cast("ModelParameters", parameters["model"]))
    with _weights_ahead(settings, cast("ModelParameters", parameters["model"])):
        return _carry_out(settings, arguments, parameters, ask)


def _weights_ahead(settings: Settings, model: ModelParameters) -> AbstractContextManager[None]:
    """Bring the weights of the one network of a run while its server starts."""
    from tasks.job_environment.weights import IMAGENET, prepared_ahead

    # A server that somebody named starts nothing here, and may refuse: nothing is written before.
    if model.weights != IMAGENET or model.networks or os.environ.get("PREFECT_API_URL"):
        return nullcontext()
    cache = settings.home / "weights"
    return prepared_ahead(str(model.first), job_python=settings.job_python, cache=cache)


def _carry_out(
    settings: Settings,
    arguments: argparse.Namespace,
    parameters: dict[str, Parameters],
    ask: Asker,
) -> int:
    from cli.console import quiet_console
    from cli.run_summary import print_refusal, print_summary
    from cli.server.choosing import ui_and_password, use_server
    from platforms import connect
    from tasks.approval.asking import asked_by

    with ThreadPoolExecutor(1) as beside:
        # Once: jobs of this machine share what takes seconds to import.
        expect = cache(lambda: beside.submit(connect(settings).expect_jobs))

        def meanwhile() -> None:
            expect()
            _import_flows()

        api_url = use_server(settings, meanwhile=meanwhile)
        expect()  # a server that ran already leaves no time for it
    Thread(target=_import_drawing, name="imports of the report").start()
    # Prefect reads its settings when it is imported.
    from cli.billing import print_billing
    from cli.flow_run import run_release

    if not arguments.debug:
        quiet_console()
    print(f"Prefect UI: {ui_and_password(settings, api_url)}", file=sys.stderr)
    name = _name(settings, arguments.resume or arguments.name, parameters)
    _redo(settings, name, _step(arguments))
    try:
        with asked_by(ask):
            record = run_release(settings, parameters, name, resume=arguments.resume is not None)
    finally:
        print_billing(settings)  # of a run that failed, too
    if record.approval is not None and record.approval.answer == "no":
        print_refusal(settings, record, api_url)
        return EXIT_REFUSED
    print_summary(settings, record, api_url)
    return 0


def _step(arguments: argparse.Namespace) -> RedoStep | None:
    """Return the step of --from-step; before anything is started."""
    from tasks.plan.redo import step_named

    if arguments.from_step is None:
        return None
    if arguments.resume is None:
        raise ParameterError("--from-step is for a run that there is: give --resume RUN, too")
    return step_named(arguments.from_step)


def _redo(settings: Settings, name: str, step: RedoStep | None) -> None:
    from platforms import connect
    from tasks.plan.redo import redo_from
    from tasks.runs.record import read_run

    if step is None:
        return
    for line in redo_from(connect(settings), read_run(settings, name), step):
        print(line, file=sys.stderr)


def _import_flows() -> None:
    """Import what takes seconds and needs no server that answers."""
    import cli.flow_run  # noqa: F401


def _import_drawing() -> None:
    """Import what only the report needs, while jobs are waited for: a second and more.

    Not in a daemon: cut off in an import, it may take the process's exit code with it.
    """
    import optuna.importance  # noqa: F401

    import dashboards.figures.importance  # noqa: F401


def _name(settings: Settings, given: str | None, parameters: dict[str, Parameters]) -> str:
    """Return the name that was given, or one that tells what the run does and no other run has."""
    from tasks.runs.names import SEPARATOR, folder_name
    from tasks.runs.record import run_folder
    from tasks.stories.names import release_name

    if given:
        return folder_name(given)
    groups = ("data", "model", "tuning", "resources")
    story = release_name(*(parameters[name] for name in groups))  # type: ignore[arg-type]
    numbered = chain([story], (f"{story}{SEPARATOR}{number}" for number in count(2)))
    return next(n for n in numbered if not run_folder(settings, folder_name(n)).exists())


def _parameters(settings: Settings, arguments: argparse.Namespace) -> dict[str, Parameters]:
    from tasks.parameters.recorded import recorded_parameters
    from tasks.parameters.run import RUN_PARAMETERS
    from tasks.runs.names import folder_name
    from tasks.runs.record import run_folder

    _step(arguments)
    if arguments.resume is not None:
        _refuse_options(arguments)
        _require_idle(settings, folder_name(arguments.resume))
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
    from tasks.parameters.typed_path import with_typed

    options = [
        f"{group}.{name}"
        for group, values in from_options(arguments).items()
        for name in with_typed(values)[0]
    ]
    if arguments.name or options:
        raise ParameterError(
            f"--resume {arguments.resume!r} uses that run's options: leave out "
            f"{', '.join(sorted(options)) or '--name'}, or start a new run"
        )


def _require_idle(settings: Settings, name: str) -> None:
    """Refuse to resume a run that is going on: two processes would do its work at once."""
    from tasks.runs.ownership import owner

    process = owner(settings, name)
    if process is not None:
        raise ParameterError(
            f"run {name!r} is going on in process {process}: wait for its end, or stop it there "
            "with Ctrl-C, and resume it then"
        )


def _known_run(settings: Settings, name: str) -> RunRecord:
    from tasks.runs.names import folder_name
    from tasks.runs.record import read_run

    try:
        return read_run(settings, folder_name(name))
    except FileNotFoundError as error:
        runs = [path.name for path in settings.runs.glob("[!.]*")]
        hint = f": {meant}" if (meant := did_you_mean(nearest(name, runs))) else ""
        raise ParameterError(f"there is no run {name!r} in {settings.runs}{hint}") from error
