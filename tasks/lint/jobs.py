"""Lint jobs that ran on the platform: their requests, logs, outputs and trials."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from dashboards.files.frames import TrainingOutput, read_training_output
from dashboards.files.trials import read_trials
from platforms import Platform
from platforms.errors import ParameterError, WhippetError
from platforms.job_status import TERMINAL
from platforms.sagemaker_types import TrainingJob, Trial, TuningJob
from sm_entrypoints import contract
from sm_entrypoints.contract.wire import OBJECTIVE_KEY, decode, from_wire
from tasks.lint.findings import LintFinding, worst_first
from tasks.lint.history import lint_history
from tasks.lint.inputs import lint_inputs
from tasks.lint.log_metrics import series_of
from tasks.lint.packed_search import lint_packed_search
from tasks.lint.regexes import Objective
from tasks.lint.request import lint_request, metric_definitions, tuning_objective
from tasks.lint.search import lint_search
from tasks.lint.trials import merge_trials
from tasks.lint.values import Measured, lint_values
from tasks.parameters.ranges import edges_of, ranges_from_wire
from tasks.requests.bodies import is_packed_search
from tasks.requests.create_or_adopt import TRAINING_JOB, TUNING_JOB
from tasks.requests.logs import log_text
from tasks.requests.training import output_uri_of
from tasks.requests.tuning import list_trials
from tasks.runs.output import unpack_output
from tasks.runs.record import OUTPUT_FOLDER


def lint_job(platform: Platform, name: str, classes: int | None = None) -> list[LintFinding]:
    """Return what is wrong with a training job's metrics, or a tuning job's search, worst first.

    Args:
        platform: where the job ran.
        name: of a training job that ended, or of a tuning job (its trials that ended count).
        classes: how many classes the data has; default: what the job's output says.

    Raises:
        ParameterError: there is no such job, or the training job has not ended.
    """
    tuning = TUNING_JOB.describe(platform.sagemaker, name) if len(name) <= 32 else None
    if tuning is not None:
        return lint_tuning_job(platform, tuning, classes)
    training = TRAINING_JOB.describe(platform.sagemaker, name)
    if training is None:
        raise ParameterError(f"there is no training or tuning job {name!r}: see `whippet jobs`")
    if training["TrainingJobStatus"] not in TERMINAL:
        raise ParameterError(
            f"training job {name!r} is {training['TrainingJobStatus']}: lint it after it has ended"
        )
    if is_packed_search(training):
        return lint_packed_search(platform, training, classes)
    return lint_training_job(platform, training, classes)


def lint_training_job(
    platform: Platform, job: TrainingJob, classes: int | None = None
) -> list[LintFinding]:
    """Return what is wrong with a described training job: its log, its values, its inputs."""
    output = job_output(platform, job)
    classes = classes or (class_count(output) if output else None)
    history = _lint_log(platform, job, classes)
    inputs = lint_inputs(output.reductions, output.training) if output else []
    return worst_first([*history, *inputs])


def lint_tuning_job(
    platform: Platform, job: TuningJob, classes: int | None = None
) -> list[LintFinding]:
    """Return what is wrong with a described tuning job: its request, its trials, their logs."""
    summaries = list_trials(platform, job["HyperParameterTuningJobName"])
    best, described = job.get("BestTrainingJob"), platform.sagemaker.describe_training_job
    if classes is None and best:
        output = job_output(platform, described(TrainingJobName=best["TrainingJobName"]))
        classes = class_count(output) if output else None
    objective = tuning_objective(job)
    trials = read_trials(summaries, direction=(objective and objective.type) or "Minimize")
    search = lint_search(trials, edges=_edges(job, best), classes=classes)
    ended = [each["TrainingJobName"] for each in summaries if each["TrainingJobStatus"] in TERMINAL]
    histories = {
        name: _lint_log(platform, described(TrainingJobName=name), classes) for name in ended
    }
    return worst_first([*lint_request(job), *search, *merge_trials(histories)])


def _lint_log(platform: Platform, job: TrainingJob, classes: int | None) -> list[LintFinding]:
    definitions = metric_definitions(job)
    objective = _objective(job, definitions)
    log = log_text(platform, job["TrainingJobName"])
    return lint_history(log, definitions, objective=objective, classes=classes)


def _objective(
    job: TrainingJob, definitions: Sequence[contract.MetricDefinition]
) -> Objective | None:
    """Return the objective that a trial was given; ours for jobs with Whippet's metrics."""
    names = [each["Name"] for each in definitions]
    metric = str(decode(job.get("HyperParameters", {}).get(OBJECTIVE_KEY, "")))
    ours = contract.OBJECTIVE_METRIC if contract.OBJECTIVE_METRIC in names else ""
    return Objective(name=metric or ours) if metric or ours else None


def _edges(job: TuningJob, best: Trial | None) -> dict[str, str]:
    ranges = ranges_from_wire(job["HyperParameterTuningJobConfig"].get("ParameterRanges", {}))
    values = from_wire(best.get("TunedHyperParameters", {}) if best else {})
    return edges_of(values, ranges)


def job_output(platform: Platform, job: TrainingJob) -> TrainingOutput | None:
    """Return what a job wrote as Whippet's train.py writes it; None when it did not."""
    with tempfile.TemporaryDirectory(prefix="whippet-lint-") as name:
        try:
            unpack_output(platform, output_uri_of(job), Path(name))
            return read_training_output(Path(name) / OUTPUT_FOLDER)
        except (WhippetError, ValueError):
            # Somebody else's train.py writes what it likes, or nothing.
            return None


def class_count(output: TrainingOutput) -> int | None:
    """Return how many classes the model of a job tells apart, if its output says so."""
    classes = output.training.get("model", {}).get("classes") or (output.evaluation or {}).get(
        "classes", []
    )
    return len(classes) or None


def lint_output(output: TrainingOutput) -> list[LintFinding]:
    """Return what is wrong with a training job, from what it wrote: no log, no platform needed."""
    series = [
        series_of(f"{split}:{column}", rows[column].dropna())
        for split, rows in output.metrics.groupby("split", observed=True)
        for column in ("loss", "accuracy", "top5_accuracy")
    ]
    measured = Measured(
        series=series, objective=contract.OBJECTIVE_METRIC, classes=class_count(output)
    )
    return worst_first([*lint_values(measured), *lint_inputs(output.reductions, output.training)])
