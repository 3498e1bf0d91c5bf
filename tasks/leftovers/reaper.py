"""Find everything that no live run owns, and remove it without waiting for anybody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from platforms import Platform
from tasks.costs.ledger_update import note_endpoint
from tasks.costs.stop_billing import delete_with_config_and_models
from tasks.leftovers.endpoints import left_endpoints, left_records
from tasks.leftovers.jobs import left_jobs
from tasks.leftovers.leftover import Leftover
from tasks.parameters.upkeep import CleanUpParameters
from tasks.requests.create_or_adopt import ENDPOINT_CONFIG, MODEL, TRAINING_JOB, TUNING_JOB
from tasks.runs.record import every_run


def find_leftovers(
    platform: Platform, parameters: CleanUpParameters, now: datetime
) -> Iterator[Leftover]:
    """Yield what a clean-up is to remove: what bills first, then what only holds names.

    An endpoint that is named is the only one.
    """
    runs = {run.name: run for run in every_run(platform.settings)}
    if parameters.endpoint is None:
        yield from left_jobs(platform, runs, now)
    yield from left_endpoints(platform, parameters, runs, now)
    yield from left_records(platform, parameters, now)


def remove_leftover(platform: Platform, leftover: Leftover) -> str | None:
    """Remove it, or ask it to stop; return None, or the status that does not allow that yet.

    What is gone already is no error.
    """
    if leftover.kind == "endpoint":
        return delete_with_config_and_models(platform, leftover.name, wait=False)
    for record in (ENDPOINT_CONFIG, MODEL):
        if leftover.kind == record.noun:
            record.delete(platform.sagemaker, leftover.name)
    for job in (TUNING_JOB, TRAINING_JOB):
        if leftover.kind == job.noun:
            job.stop(platform.sagemaker, leftover.name)
    return None


def close_ledgers(platform: Platform) -> list[str]:
    """Bring the ledgers up to date that still count an endpoint; return the names of the runs.

    Whoever deleted an endpoint may have been killed before the run's ledger was closed.
    """
    settings = platform.settings
    counting = [
        run
        for run in every_run(settings)
        if run.platform == settings.platform and any(e.billing for e in run.ledger.values())
    ]
    for run in counting:
        note_endpoint(platform, run.identity)
    return [run.name for run in counting]
