"""Find and remove what no live run owns: everything that would keep billing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError
from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact

from platforms import connect
from platforms.errors import WhippetError
from tasks.leftovers.needs import needed_by_runs
from tasks.leftovers.reaper import close_ledgers, find_leftovers, remove_leftover
from tasks.parameters.upkeep import CleanUpParameters
from tasks.runs.task_policy import policy


@task(name="remove leftovers", **policy(3600))
def remove_leftovers(parameters: CleanUpParameters) -> list[str]:
    """Remove what ``parameters`` mean, or only say what; return the names.

    One thing that cannot be removed keeps no other from it: it is an error in the log, and is
    tried again next time.
    """
    platform, logger, now = connect(), get_run_logger(), datetime.now(UTC)
    found = list(find_leftovers(platform, parameters, now))
    if found:
        create_table_artifact([each.row(now) for each in found], key="clean-up")
    done = []
    for each in found:
        what = f"{each.kind} {each.name}"
        if parameters.dry_run:
            logger.info("would remove %s: %s", what, each.why)
            done.append(each.name)
            continue
        try:
            status = remove_leftover(platform, each)
        except (WhippetError, ClientError, BotoCoreError, OSError) as error:
            logger.error("%s cannot be removed: %s", what, error)
            continue
        if status is None:
            logger.info("removed %s: %s", what, each.why)
            done.append(each.name)
        else:
            logger.warning("%s is %s; the next clean-up tries again", what, status)
    return done


@task(name="remove old files", **policy(3600))
def remove_old_files(parameters: CleanUpParameters) -> int:
    """Remove what old jobs left on this machine, or only say what; return the bytes."""
    if parameters.older_than_hours is None:
        return 0
    platform, logger, taken = connect(), get_run_logger(), 0
    age = timedelta(hours=parameters.older_than_hours)
    for each in platform.old_files(age, needed_by_runs(platform.settings)):
        verb = "would remove" if parameters.dry_run else "removes"
        logger.info("%s %s: %.1f MB", verb, each.what, each.bytes / 1e6)
        if not parameters.dry_run:
            each.remove()
        taken += each.bytes
    return taken


@task(name="close ledgers", **policy(600))
def close_counting_ledgers() -> list[str]:
    """Close the ledgers of runs whose endpoint is gone; return the names of the runs."""
    return close_ledgers(connect())
