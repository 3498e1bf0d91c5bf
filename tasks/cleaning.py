"""Find and remove endpoints, and stop jobs: everything that would keep billing."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact

from platforms import connect
from tasks.costs.stop_billing import delete_with_config_and_models
from tasks.endpoints.inventory import list_endpoints, meant_by
from tasks.endpoints.unused import list_unused
from tasks.parameters.run import CleanUpParameters
from tasks.runs.task_policy import policy


@task(name="remove endpoints", **policy(3600))
def remove_endpoints(parameters: CleanUpParameters) -> list[str]:
    """Remove the endpoints that ``parameters`` mean, or only say which; return their names."""
    platform = connect()
    chosen = meant_by(parameters, list_endpoints(platform), datetime.now(UTC))
    logger = get_run_logger()
    for state in chosen:
        if parameters.dry_run:
            logger.info("would remove endpoint %s (%s)", state.name, state.status)
        else:
            delete_with_config_and_models(platform, state.name)
            logger.info("removed endpoint %s", state.name)
    rows = [{"endpoint": s.name, "status": s.status, "run": s.run} for s in chosen]
    if rows:
        create_table_artifact(rows, key="clean-up")
    return [state.name for state in chosen]


@task(name="remove unused configs and models", **policy(1800))
def remove_unused(parameters: CleanUpParameters) -> list[str]:
    """Remove the unused configs and models that are meant, or only say which; return names."""
    platform = connect()
    chosen = meant_by(parameters, list_unused(platform), datetime.now(UTC))
    logger = get_run_logger()
    for each in chosen:
        if parameters.dry_run:
            logger.info("would remove %s %s, which nothing uses", each.kind, each.name)
        else:
            each.resource.delete(platform.sagemaker, each.name)
            logger.info("removed %s %s, which nothing used", each.kind, each.name)
    return [each.name for each in chosen]
