"""The task that plans a run before anything of it is created, and holds it to its cap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from platforms import Needs, connect
from tasks.costs.cap import Limits
from tasks.costs.ledger import PLAN
from tasks.plan.existing_jobs import require_own_names, standing
from tasks.plan.requests import RunChoices
from tasks.plan.run import plan_run
from tasks.plan.text import plan_markdown, usd
from tasks.runs.names import RunIdentity, Step
from tasks.runs.record import read_run, record
from tasks.runs.task_policy import policy

_IMAGE_MEMBERS = ("TrainingImage", "Image")


@task(name="plan run", **policy(900))
def plan_stage(run: RunIdentity, choices: RunChoices) -> Limits:
    """Publish what the run will send and cost; return the limits that its jobs are held to.

    A resumed run is planned with what is left of its cap. Then the platform is looked at, with
    these needs, and makes what it may make by itself: the first thing that is created.

    Raises:
        BudgetError: the worst case passes ``max_usd`` whatever the limits.
        ParameterError: a price is not known that a cap needs, or a request is not valid.
        NameTaken: what the run would create exists already, and is another's.
        SettingsError: the account, bucket, role, image or a quota is not what the run needs.
    """
    platform = connect()
    require_own_names(platform, run, _steps(choices))
    stands = standing(platform, run)
    plan = plan_run(platform, run, choices, read_run(platform.settings, run.name), stands)
    known = plan.model_dump(
        mode="json", include={"bills", "limits", "prices", "worst_usd", "expected_usd", "max_usd"}
    )
    record(platform.settings, run, {PLAN: {**known, "spent": stands.spent()}})
    create_markdown_artifact(plan_markdown(plan), key="run-plan")
    get_run_logger().info(
        "costs at most %s%s", usd(plan.worst_usd), "" if plan.bills else " on AWS, nothing here"
    )
    for note in platform.require_ready(needs(plan.quotas, plan.requests)):
        get_run_logger().warning("%s", note)
    platform.prepare()
    return plan.limits


def _steps(choices: RunChoices) -> list[Step]:
    steps: list[Step] = ["tune"] if choices.tuning else []
    steps += ["train"] if choices.training else []
    return steps + (["model", "config", "endpoint"] if choices.deployment else [])


def needs(quotas: dict[str, int], requests: list[dict[str, Any]]) -> Needs:
    """Return what planned requests ask of an account."""
    # AWS names its quotas by their instance type.
    types = sorted({name.split(" ")[0] for name in quotas})
    images = tuple(dict.fromkeys(_images(requests)))
    return Needs(instance_types=tuple(types), images=images, quotas=quotas)


def _images(value: Any) -> Iterator[str]:
    """Yield the images that requests name, of jobs first, as requests are in the order of a run."""
    if isinstance(value, list):
        for each in value:
            yield from _images(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in _IMAGE_MEMBERS and isinstance(each, str):
                yield each
            else:
                yield from _images(each)
