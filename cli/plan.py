"""``whippet plan``: what a run would send, cost and need, before anything is created."""

from __future__ import annotations

import argparse
from typing import cast

from cli.preflight import check_folder
from cli.run import from_options
from platforms import Settings, connect
from tasks.parameters.run import (
    RUN_PARAMETERS,
    DataParameters,
    DeploymentParameters,
    ModelParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.plan.requests import UNNAMED, RunChoices
from tasks.plan.run import plan_run
from tasks.plan.text import plan_text
from tasks.runs.names import RunIdentity, folder_name


def plan(arguments: argparse.Namespace) -> int:
    """Print the plan of a run with these options; sends and writes nothing."""
    settings = Settings()
    if arguments.platform:
        settings = Settings(platform=arguments.platform)
    given = choices(arguments)
    check_folder(settings, given.data)
    found = plan_run(connect(settings), _identity(arguments.name), given)
    print(found.model_dump_json(indent=2) if arguments.json else plan_text(found))
    return 0


def _identity(name: str | None) -> RunIdentity:
    if name is None:
        return UNNAMED
    # Its token follows from the flow run, which is not there yet.
    return RunIdentity(name=folder_name(name), token=UNNAMED.token, flow_run_id=UNNAMED.flow_run_id)


def choices(arguments: argparse.Namespace) -> RunChoices:
    """Return the parameters of the run that the options stand for."""
    given = from_options(arguments)
    models = {name: model.model_validate(given[name]) for name, model in RUN_PARAMETERS.items()}
    return RunChoices(
        data=cast(DataParameters, models["data"]),
        model=cast(ModelParameters, models["model"]),
        tuning=cast(TuningParameters, models["tuning"]),
        training=cast(TrainingParameters, models["training"]),
        deployment=cast(DeploymentParameters, models["deployment"]),
        resources=cast(ResourceParameters, models["resources"]),
    )
