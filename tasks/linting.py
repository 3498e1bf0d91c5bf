"""The objective lint of a run: before its search, after its search, after its training.

Before a search an error refuses the run, because a search on a wrong number is wasted money. After
a job nothing is refused: findings appear in the log, in the artifact ``objective-lint``, in the
run's record and in its report.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from dashboards.files.trials import read_trials
from platforms import Settings, connect
from tasks.lint.findings import EDGE_CODE, LintFinding, lint_markdown, require_sound
from tasks.lint.jobs import lint_output
from tasks.lint.request import contract_sample, lint_request
from tasks.lint.search import lint_search
from tasks.parameters.run import ModelParameters, ResourceParameters, TuningParameters
from tasks.requests.identity import Request
from tasks.requests.inputs import TrainingInputs
from tasks.requests.tuning import list_trials, search_requests
from tasks.runs.names import RunIdentity
from tasks.runs.output import training_output
from tasks.runs.record import read_run, record, run_folder
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import BestTrial
from tasks.runs.task_policy import policy


@task(name="lint objective", **policy(300))
def lint_objective(
    run: RunIdentity,
    inputs: TrainingInputs,
    model: ModelParameters,
    tuning: TuningParameters,
    resources: ResourceParameters,
) -> None:
    """Refuse a search whose objective cannot be right, before it costs anything.

    Raises:
        ParameterError: the lint found an error and ``tuning.lint`` is ``error``.
    """
    if tuning.lint != "off":
        request = search_requests(
            connect(), run, inputs=inputs, model=model, tuning=tuning, resources=resources
        )(1)
        judge_request(run, request, tuning)


def judge_request(run: RunIdentity, request: Request, tuning: TuningParameters) -> None:
    """Publish what is wrong with a request of a script that prints as train.py does.

    Raises:
        ParameterError: there is an error and ``tuning.lint`` is ``error``.
    """
    findings = lint_request(request, contract_sample())
    publish_findings(run, "request", findings)
    if tuning.lint == "error":
        require_sound(findings, what=f"the search of run {run.name!r}")


@task(name="lint search", **policy(300))
def lint_finished_search(
    run: RunIdentity, name: str, best: BestTrial, inputs: TrainingInputs, tuning: TuningParameters
) -> None:
    """Look at what the search found: do its trials' objectives tell hyperparameters apart?"""
    if tuning.lint != "off":
        trials = read_trials(list_trials(connect(), name))
        findings = lint_search(trials, edges=best.edges, classes=len(inputs.classes))
        publish_findings(run, "search", findings)


@task(name="lint training", **policy(300))
def lint_finished_training(run: RunIdentity) -> None:
    """Look at what the training job wrote: its metrics, and the numbers that it was fed."""
    output = training_output(run_folder(Settings(), run.name))
    publish_findings(run, "training", lint_output(output))


def publish_findings(run: RunIdentity, stage: str, findings: Sequence[LintFinding]) -> None:
    """Write a stage's findings to the run's record, log and artifact, also when there are none."""
    settings = Settings()
    record(settings, run, RunFacts(lint={stage: [finding.to_dict() for finding in findings]}))
    for finding in findings:
        if finding.code != EDGE_CODE:  # the best trial said so
            get_run_logger().warning("lint: %s %s", finding.message, finding.advice)
    text = lint_markdown(read_run(settings, run.name).lint)
    create_markdown_artifact(text, key="objective-lint", description="Objective lint")
