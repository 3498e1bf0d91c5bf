"""Quick checks before a run starts anything.

Only what can be checked within a second; the run's first task checks the images themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from cli.doctor.setup import check_disk, check_home
from platforms import Needs, Settings, connect
from platforms.errors import SettingsError, shown
from platforms.job_environment import require_job_python
from sm_entrypoints.contract.sentences import clause
from tasks.dataset.checking.check import check_folders
from tasks.dataset.checking.scan import Layout
from tasks.dataset.findings import DataProblems
from tasks.dataset.source import data_root, is_remote, list_source, require_folder
from tasks.job_environment.weights import IMAGENET, NONE, weights_file
from tasks.parameters.run import (
    DataParameters,
    ModelParameters,
    Parameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.parameters.strategy import choose_search
from tasks.requests.fine_tuning import require_head_to_start_from

# Room for the records, a small model's archives and its checkpoints; less can only fail later.
LEAST_FREE_BYTES = 256 * 1024**2


def check_before_run(
    settings: Settings,
    data: DataParameters,
    model: ModelParameters,
) -> None:
    """Check folders, weights, platform and disk; creates nothing, starts nothing, prints notes.

    Raises:
        SettingsError: the project's folder, the platform or the job environment cannot be used.
        DataError: the data folder or the weights file cannot be used.
    """
    require_room(settings.home)
    check_folder(settings, data)
    check_weights(settings, model)
    platform = connect(settings)
    for note in platform.require_ready(Needs()):
        print(f"note: {note}", file=sys.stderr)
    if is_remote(data.path):
        list_source(platform, data.path)


def check_choices(parameters: Mapping[str, Parameters]) -> None:
    """Check that what was asked for in several groups of parameters fits together.

    Raises:
        ParameterError: it does not; says why, and what to do.
    """
    model = cast(ModelParameters, parameters["model"])
    tuning = cast(TuningParameters, parameters["tuning"])
    choose_search(model, tuning, cast(ResourceParameters, parameters["resources"]))
    require_head_to_start_from(model, cast(TrainingParameters, parameters["training"]))


def check_folder(settings: Settings, data: DataParameters) -> Layout | None:
    """Check the layout of a data folder and return it, None if the data is in a bucket; quick.

    Raises:
        DataError: lists every problem, and names the path as it was typed.
    """
    if is_remote(data.path):
        return None
    typed = data.shown_path
    require_folder(data.path, typed)
    try:
        return check_folders(data_root(data.path), data.reading())
    except DataProblems as error:
        problems = settings.home / "data-check" / "problems.txt"
        raise error.listed_in(problems, shown(typed)) from error


def check_weights(settings: Settings, model: ModelParameters) -> None:
    """Check that a weights file is there, and the interpreter that prepares weights.

    Raises:
        DataError: no such file.
        SettingsError: no such interpreter.
    """
    weights = model.weights
    if weights == NONE:
        return
    if weights != IMAGENET and not weights.startswith("s3://"):
        weights_file(weights, model.shown_weights)
    require_job_python(settings.job_python)


def require_room(home: Path, least: int = LEAST_FREE_BYTES) -> None:
    """Check that the project's folder can be written and that its disk is not full.

    Raises:
        SettingsError: says what is wrong and what to do.
    """
    try:
        checks = (check_home(home), check_disk(home, least))
    except OSError as error:  # a folder above it cannot even be looked into
        raise SettingsError(
            f"WHIPPET_HOME='{home}' cannot be used: {clause(error)}; choose a folder of your own"
        ) from error
    for check in checks:
        if check.outcome != "passed":
            raise SettingsError(f"WHIPPET_HOME='{home}': {clause(check.found)}; {check.advice}")
