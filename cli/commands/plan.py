"""``whippet plan``: what a run would send, cost and need, before anything is created."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cli.options import add_run_options, from_options

if TYPE_CHECKING:
    from tasks.plan.requests import RunChoices
    from tasks.runs.names import RunIdentity

HELP = "print every request that a run would send, what it costs at most, and what it needs"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--name", help="name of the run")
    parser.add_argument("--json", action="store_true", help="all of it, with whole requests")
    add_run_options(parser)


def command(arguments: argparse.Namespace) -> int:
    """Print the plan of a run with these options; sends and writes nothing."""
    from cli.preflight import check_folder
    from platforms import Settings, connect
    from tasks.plan.run import plan_run
    from tasks.plan.text import plan_text

    settings = Settings()
    if arguments.platform:
        settings = Settings(platform=arguments.platform)
    run_choices = choices(arguments)
    layout = check_folder(settings, run_choices.data)
    plan = plan_run(connect(settings), _identity(arguments.name), run_choices, layout=layout)
    print(plan.model_dump_json(indent=2) if arguments.json else plan_text(plan))
    return 0


def _identity(name: str | None) -> RunIdentity:
    from tasks.plan.requests import UNNAMED
    from tasks.runs.names import RunIdentity, folder_name

    if name is None:
        return UNNAMED
    # Its token follows from the flow run, which is not there yet.
    return RunIdentity(name=folder_name(name), token=UNNAMED.token, flow_run_id=UNNAMED.flow_run_id)


def choices(arguments: argparse.Namespace) -> RunChoices:
    """Return the parameters of the run that the options stand for."""
    from tasks.parameters.run import RUN_PARAMETERS
    from tasks.plan.requests import RunChoices

    parameters = from_options(arguments)
    return RunChoices.model_validate(
        {name: model.model_validate(parameters[name]) for name, model in RUN_PARAMETERS.items()}
    )
