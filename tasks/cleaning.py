"""Find and remove endpoints, and stop jobs: everything that would keep billing."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact

from platforms import connect
from tasks.costs.stop_billing import delete_with_config_and_models
from tasks.endpoints.inventory import endpoints_to_remove, list_endpoints
from tasks.endpoints.unused import (
    list_stranded,
    remove_stranded,
    stranded_to_remove,
)
from tasks.parameters.run import CleanUpParameters
from tasks.runs.task_policy import policy


@task(name="remove endpoints", **policy(3600))
def remove_endpoints(parameters: CleanUpParameters) -> list[str]:
    """Remove the endpoints that ``parameters`` mean, or only say which; return their names."""
    platform = connect()
    chosen = endpoints_to_remove(list_endpoints(platform), parameters, datetime.now(UTC))
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


@task(name="remove what is stranded", **policy(1800))
def remove_all_stranded(parameters: CleanUpParameters) -> list[str]:
    """Remove the stranded configs and models that are meant, or only say which; return names."""
    platform = connect()
    chosen = stranded_to_remove(list_stranded(platform), parameters, datetime.now(UTC))
    logger = get_run_logger()
    for each in chosen:
        if parameters.dry_run:
            logger.info("would remove %s %s, which nothing uses", each.kind, each.name)
        else:
            remove_stranded(platform, each)
            logger.info("removed %s %s, which nothing used", each.kind, each.name)
    return [each.name for each in chosen]
