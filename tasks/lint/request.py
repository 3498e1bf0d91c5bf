"""Lint a SageMaker request before a search starts, while it costs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from platforms.errors import ParameterError
from sm_entrypoints import contract
from tasks.lint.findings import LintFinding, worst_first
from tasks.lint.regexes import Objective, lint_metrics, read_metrics


def lint_request(request: Mapping[str, Any], sample_lines: Sequence[str] = ()) -> list[LintFinding]:
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


def contract_sample() -> list[str]:
    """Return the lines that Whippet's own train.py prints, with every metric that it knows."""
    values = {name: 0.5 + index / 64 for index, name in enumerate(contract.METRIC_NAMES)}
    epoch = {name: values[name] for name in ("epoch", *contract.EPOCH_METRICS)}
    return [contract.format_metrics(epoch), contract.format_metrics(values)]


def metric_definitions(request: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """Return the metric definitions of a training request or of a described training job."""
    definitions: list[Mapping[str, str]] = request.get("AlgorithmSpecification", {}).get(
        "MetricDefinitions", []
    )
    return definitions


def tuning_objective(request: Mapping[str, Any]) -> Objective | None:
    """Return the objective of a tuning request, or of one of its training job definitions."""
    config = request.get("HyperParameterTuningJobConfig", {})
    objective = request.get("TuningObjective") or config.get("HyperParameterTuningJobObjective")
    return (
        Objective(name=objective["MetricName"], type=objective.get("Type")) if objective else None
    )


def measured_by(
    request: Mapping[str, Any],
) -> Iterator[tuple[list[Mapping[str, str]], Objective | None]]:
    """Yield the metric definitions and the objective of each job that a request describes.

    Raises:
        ParameterError: it describes none.
    """
    several = request.get("TrainingJobDefinitions")
    one = request.get("TrainingJobDefinition")
    if several or one:
        for definition in several or [one]:
            objective = tuning_objective(definition) or tuning_objective(request)
            yield metric_definitions(definition), objective
    elif "AlgorithmSpecification" in request:
        yield metric_definitions(request), None
    else:
        raise ParameterError(
            f"members {sorted(request)} fit neither a CreateTrainingJob nor a "
            "CreateHyperParameterTuningJob request: AlgorithmSpecification, or "
            "TrainingJobDefinition with HyperParameterTuningJobConfig, is needed"
        )
