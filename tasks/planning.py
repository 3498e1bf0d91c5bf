"""The task that plans a run before anything is created, and keeps it within its cap."""

from __future__ import annotations

from decimal import Decimal

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from platforms import connect
from tasks.costs.cap import Agreed
from tasks.endpoints.requests import RESOURCES
from tasks.parameters.run import DeploymentParameters
from tasks.plan.deployment import deployment_markdown, deployment_plan
from tasks.plan.existing_jobs import find_existing_jobs, require_own_names
from tasks.plan.needs import needs
from tasks.plan.requests import RunChoices
from tasks.plan.run import plan_run
from tasks.plan.text import plan_markdown, usd
from tasks.requests.parents import require_parents
from tasks.runs.names import RunIdentity, Step
from tasks.runs.record import read_run, record
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import PlanFacts, SearchFacts, TrainedModel
from tasks.runs.task_policy import policy


@task(name="plan run", task_run_name="plan {run.name}", **policy(900))
def plan_stage(run: RunIdentity, choices: RunChoices) -> Agreed:
    """Publish what the run will send and cost; return the limits of its jobs, and how it searches.
    A resumed run is planned with the rest of its cap, and searches as it began. Then the platform
    is checked for these needs, and creates what it may create by itself, before anything else.

    Raises:
        BudgetError: the worst case passes ``max_usd`` whatever the limits.
        ParameterError: a price is not known that a cap needs, a request is not valid, or the
            search cannot be packed as it shall be.
        NameTaken: what the run would create exists already, and is another's.
        SettingsError: the account, bucket, role, image or a quota is not what the run needs.
    """
    platform = connect()
    require_own_names(platform, run, _steps(choices))
    existing_jobs = find_existing_jobs(platform, run)
    plan = plan_run(platform, run, choices, read_run(platform.settings, run.name), existing_jobs)
    facts = PlanFacts(**plan.model_dump(mode="json"), spent=existing_jobs.spent())
    search = None if plan.search is None else SearchFacts(**plan.search.model_dump())
    record(platform.settings, run, RunFacts(plan=facts, search=search))
    most = usd(plan.worst_usd) + ("" if plan.bills else " on AWS, nothing here")
    create_markdown_artifact(plan_markdown(plan), key="run-plan", description=f"At most {most}")
    get_run_logger().info("costs at most %s", most)
    if plan.search is not None and choices.tuning is not None:
        require_parents(platform, plan.search.settle(choices.tuning))
        get_run_logger().info("%s", plan.search.sentence)
        for note in plan.search.notes:
            get_run_logger().warning("%s", note)
    for note in platform.require_ready(needs(plan.quotas, plan.requests)):
        get_run_logger().warning("%s", note)
    platform.prepare()
    strategy = plan.search.strategy if plan.search else None
    return Agreed(**plan.limits.model_dump(), strategy=strategy)


def _steps(choices: RunChoices) -> list[Step]:
    steps: list[Step] = ["tune"] if choices.tuning else []
    steps += ["train"] if choices.training else []
    steps += ["finetune"] if choices.training and choices.training.fine_tune else []
    return steps + (["model", "config", "endpoint"] if choices.deployment else [])


@task(name="plan deployment", task_run_name="plan endpoint for {trained.job}", **policy(900))
def plan_deployment(
    run: RunIdentity,
    trained: TrainedModel,
    deployment: DeploymentParameters,
    max_usd: Decimal | None = None,
) -> None:
    """Publish what the deployment will send and cost, and look whether the account is ready.

    Raises:
        BudgetError, ParameterError: as :func:`deployment_plan`.
        NameTaken: what would be created exists already, and is another's.
        SettingsError: the account, role, image or a quota is not what the deployment needs.
    """
    platform = connect()
    require_own_names(platform, run, RESOURCES)
    plan = deployment_plan(platform, run, trained, deployment, max_usd)
    create_markdown_artifact(deployment_markdown(plan), key="deployment-plan")
    get_run_logger().info("the endpoint costs at most %s", usd(plan.worst_usd))
    for note in platform.require_ready(needs(plan.quotas, plan.requests)):
        get_run_logger().warning("%s", note)
