"""Tasks of an improvement: launch or adopt the comparison job, follow it, conclude."""

from __future__ import annotations

import tempfile
from pathlib import Path

from prefect import get_run_logger, runtime, task
from prefect.artifacts import create_markdown_artifact

from platforms import Platform, Settings, connect
from platforms.errors import JobFailed
from platforms.files import read_json, write_json
from platforms.sagemaker_requests import TrainingRequest
from platforms.sagemaker_types import TrainingJob
from platforms.settings import PROJECT_ROOT
from sm_entrypoints import contract
from tasks.cancelling.watch import CancelWatch, end_if_stopped
from tasks.costs.comparison_cap import allowance, comparison_prices, held_to
from tasks.costs.ledger import note_jobs
from tasks.costs.ledger_update import settle
from tasks.dataset.sameness import require_same_data
from tasks.improve.documents import Comparison, Improvement
from tasks.improve.plan import ImprovementPlan, comparison_request, plan_improvement
from tasks.improve.result import IMPROVEMENT_FILE, improvement, improvement_markdown
from tasks.job_environment.source import package_source, upload_source
from tasks.parameters.improvement import ImprovementParameters
from tasks.requests.create_or_adopt import TRAINING_JOB, create_or_adopt
from tasks.requests.identity import with_tags
from tasks.requests.training import (
    final_metrics,
    require_completed,
    run_tags,
    trained_model,
    wait_for,
)
from tasks.runs.improvements import note_improvement
from tasks.runs.output import unpack_output
from tasks.runs.progress import Progress
from tasks.runs.record import read_run, record, run_folder
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import ImprovementFacts
from tasks.runs.task_policy import DAY, policy

ARTIFACT_KEY = "improvement"


@task(name="plan improvement", **policy(300))
def choose_change(parameters: ImprovementParameters) -> ImprovementPlan:
    """Return what to measure: the verdict's change, or the requested one."""
    plan = plan_improvement(Settings(), parameters)
    get_run_logger().info("run %s: %s", plan.name, plan.sentence or "no verdict")
    return plan


@task(name="publish that there is nothing to change", **policy(300))
def publish_no_change(plan: ImprovementPlan) -> Improvement:
    """Publish that the verdict has nothing to change; return the result, with no job in it."""
    result = improvement(plan, None, None)
    create_markdown_artifact(improvement_markdown(result), key=ARTIFACT_KEY)
    return result


@task(name="launch comparison job", **policy(600))
def launch_comparison_job(plan: ImprovementPlan) -> str:
    """Create the comparison job, or adopt the one that answers the same question.

    Raises:
        JobFailed: the run's training job is gone.
        DataError: the bucket no longer holds the pictures of the run.
        BudgetError: it would pass its cap, or what the run's own cap leaves.
    """
    platform = connect()
    require_same_data(platform, plan.run)
    job = TRAINING_JOB.describe(platform.sagemaker, plan.training_job)
    if job is None:
        raise JobFailed(
            f"training job {plan.training_job!r} no longer exists: train again with `whippet run`"
        )
    source_uri = _upload_source(platform)
    tags = run_tags(plan.run, platform.settings.tags)
    settle(platform, plan.run)
    run_record = read_run(platform.settings, plan.name)

    def request(attempt: int) -> TrainingRequest:
        body = comparison_request(plan, job, source_uri, tags, attempt)
        allowed = allowance(platform, run_record, job, plan.max_usd, body["TrainingJobName"])
        return with_tags(held_to(body, allowed), tags)

    # Before there is a job: whoever ends this flow run later finds by it what to stop.
    flow_run_id, job_name = str(runtime.flow_run.id), plan.job_name(source_uri)
    note_improvement(platform.settings, flow_run_id, plan.run, job_name)
    name = create_or_adopt(platform.sagemaker, TRAINING_JOB, request)
    record(platform.settings, plan.run, RunFacts(jobs={"improve": name}))
    change = ", ".join(f"{key}={value}" for key, value in plan.change.items())
    get_run_logger().info("comparison job %s: %s", name, change)
    return name


def _upload_source(platform: Platform) -> str:
    """Bring today's entry points to the bucket: the run's own may not know how to compare."""
    bucket = platform.defaults.bucket
    archive = package_source(PROJECT_ROOT)
    return upload_source(archive, platform.store(bucket), bucket, platform.settings.prefix)


@task(name="follow comparison job", task_run_name="follow {name}", **policy(6 * DAY))
def follow_comparison_job(plan: ImprovementPlan, name: str) -> None:
    """Wait for the comparison job, showing how far it is.

    Raises:
        JobFailed: it ended in any status but Completed; names the reason and the log.
    """
    platform = connect()
    described = platform.sagemaker.describe_training_job(TrainingJobName=name)
    limit = described["StoppingCondition"]["MaxRuntimeInSeconds"]
    with Progress("improvement-progress", f"Comparison job {name}") as progress:
        watch = _ComparisonWatch(progress).show
        job = wait_for(platform, "comparison job", name, limit, watch, CancelWatch().look)
        note_jobs(platform, plan.run, "improve", [name])
        end_if_stopped(job["TrainingJobStatus"])
        require_completed(job)


class _ComparisonWatch:
    """Shows a comparison's progress; one line of the log every tenth of it."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._tenth = progress, 0

    def show(self, job: TrainingJob) -> None:
        """Show how much of its time the comparison has used, if it moved enough to see."""
        metrics = final_metrics(job)
        share = metrics.get("compare:progress", 0.0)
        self._progress.show(100 * share)
        if int(10 * share) <= self._tenth:
            return
        self._tenth = int(10 * share)
        ratio = metrics.get("compare:ratio")
        so_far = (
            ""
            if ratio is None
            else f", the changed variant takes {ratio:.3f} times the time so far"
        )
        get_run_logger().info("comparison %.0f %%%s", 100 * share, so_far)


@task(name="conclude improvement", **policy(1800))
def conclude_improvement(plan: ImprovementPlan, name: str) -> Improvement:
    """Bring the comparison home and say what it means; keep the change if it is worth it.

    Writes ``improvement.json`` into the run's folder, the decision and a kept change
    (``improved_hyperparameters``) into its record, and the artifact.
    """
    platform = connect()
    job = platform.sagemaker.describe_training_job(TrainingJobName=name)
    folder = run_folder(platform.settings, plan.name)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".improvement-") as scratch:
        unpack_output(platform, trained_model(job).output_uri, Path(scratch))
        (path,) = Path(scratch).glob(f"*/{contract.COMPARISON_FILE}")
        comparison: Comparison = read_json(path)
    prices = comparison_prices(platform, read_run(platform.settings, plan.name), job)
    result = improvement(plan, job, comparison, prices)
    write_json(folder / IMPROVEMENT_FILE, result)
    record(platform.settings, plan.run, RunFacts(improvement=ImprovementFacts(**result)))
    if kept := result["improved_hyperparameters"]:
        record(platform.settings, plan.run, RunFacts(improved_hyperparameters=kept))
    create_markdown_artifact(improvement_markdown(result), key=ARTIFACT_KEY)
    get_run_logger().info("%s: %s", result["decision"], result["reason"])
    return result
