"""After a restart of the machine: endpoints come back, and searches go on."""

from __future__ import annotations

from prefect import get_run_logger, task

from platforms import Platform, Settings, connect
from tasks.endpoints.revive import revive_endpoints
from tasks.leftovers.jobs import look_at_unfinished
from tasks.runs.task_policy import policy


@task(name="revive endpoints", **policy(600))
def revive_lost_endpoints() -> list[str]:
    """Deploy endpoints again whose processes are gone; return the names of those that come back."""
    logger, revived = get_run_logger(), []
    for name, problem in revive_endpoints(_this_machine()):
        if problem is None:
            logger.warning("endpoint %s had lost its processes: it is deployed again", name)
            revived.append(name)
        else:
            logger.warning("endpoint %s is not deployed again: %s", name, problem)
    return revived


@task(name="look at unfinished jobs", **policy(600))
def look_at_jobs() -> int:
    """Describe every unfinished job, and return their number.

    On this machine, a search or transform whose process was killed goes on from there, and what a
    killed one of a training job left running is ended.
    """
    return look_at_unfinished(_this_machine())


def _this_machine() -> Platform:
    # Whatever platform is set: AWS needs nobody to look, and recovery is one for all platforms.
    return connect(Settings(platform="local"))
