"""The objective lint of a run: after its search, and after its training.

Nothing is refused after a job: findings appear in the log, in the artifact ``objective-lint``, in
the run's record and in its report. The request of a search is Whippet's own, so a unit test looks
at it once; ``whippet lint`` looks at other people's before they cost anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from dashboards.files.trials import read_trials
from platforms import Settings
from platforms.files import read_json
from tasks.lint.findings import EDGE_CODE, LintFinding, lint_markdown
from tasks.lint.jobs import lint_output
from tasks.lint.search import lint_search
from tasks.parameters.run import TuningParameters
from tasks.requests.inputs import TrainingInputs
from tasks.runs.names import RunIdentity
from tasks.runs.output import training_output
from tasks.runs.record import TRIALS_JSON, read_run, record, run_folder
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import BestTrial
from tasks.runs.task_policy import policy


@task(name="lint search", **policy(300))
def lint_finished_search(
    run: RunIdentity, best: BestTrial, inputs: TrainingInputs, tuning: TuningParameters
) -> None:
    """Look at what the search found: do its trials' objectives tell hyperparameters apart?"""
    if tuning.lint != "off":
        trials = read_trials(read_json(run_folder(Settings(), run.name) / TRIALS_JSON))
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
