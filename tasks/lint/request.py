"""Lint a SageMaker request before a search starts, while it costs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from platforms.errors import ParameterError
from platforms.sagemaker_types import TuningObjective
from sm_entrypoints import contract
from tasks.lint.findings import LintFinding, worst_first
from tasks.lint.regexes import Objective, lint_metrics, read_metrics
from tasks.requests.shapes import AnyJob, AnyTraining, AnyTrials, AnyTuning, is_tuning


def lint_request(request: AnyJob, sample_lines: Sequence[str] = ()) -> list[LintFinding]:
    """Return what is wrong with the objective and the metrics of a request, worst first.

    Args:
        request: the body of CreateHyperParameterTuningJob or CreateTrainingJob, or what Describe
            answers.
        sample_lines: lines as the script prints them; without any, regexes are only read.

    Raises:
        ParameterError: it is neither.
    """
    findings: list[LintFinding] = []
    for definitions, objective in measured_by(request):
        findings += lint_metrics(read_metrics(definitions, objective, sample_lines))
    return worst_first(findings)


def metric_definitions(request: AnyTraining | AnyTrials) -> Sequence[contract.MetricDefinition]:
    """Return the metric definitions of a training request or of a described training job."""
    if "AlgorithmSpecification" not in request:
        return []
    return request["AlgorithmSpecification"].get("MetricDefinitions", [])


def tuning_objective(request: AnyJob) -> Objective | None:
    """Return the objective of a tuning request; None of a training request."""
    if not is_tuning(request) or "HyperParameterTuningJobConfig" not in request:
        return None
    config = request["HyperParameterTuningJobConfig"]
    return _objective(config.get("HyperParameterTuningJobObjective"))


def _objective(objective: TuningObjective | None) -> Objective | None:
    if not objective:
        return None
    return Objective(name=objective["MetricName"], type=objective.get("Type"))


def measured_by(
    request: AnyJob,
) -> Iterator[tuple[Sequence[contract.MetricDefinition], Objective | None]]:
    """Yield the metric definitions and the objective of each job that a request describes.

    Raises:
        ParameterError: it describes none.
    """
    definitions = _trials(request) if is_tuning(request) else []
    for definition in definitions:
        objective = _objective(definition.get("TuningObjective")) or tuning_objective(request)
        yield metric_definitions(definition), objective
    if not is_tuning(request) and "AlgorithmSpecification" in request:
        yield metric_definitions(request), None
    elif not definitions:
        raise ParameterError(
            f"members {sorted(request)} fit neither a CreateTrainingJob nor a "
            "CreateHyperParameterTuningJob request: AlgorithmSpecification, or "
            "TrainingJobDefinition with HyperParameterTuningJobConfig, is needed"
        )


def _trials(request: AnyTuning) -> Sequence[AnyTrials]:
    if several := request.get("TrainingJobDefinitions"):
        return several
    one = request.get("TrainingJobDefinition")
    return [one] if one else []
