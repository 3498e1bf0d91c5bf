"""Remove what no live run owns: expired and broken endpoints, forgotten jobs, unused models."""

from __future__ import annotations

from prefect import flow

from flows.hooks import FLOW_POLICY
from tasks.cleaning import close_counting_ledgers, remove_leftovers, remove_old_files
from tasks.parameters.groups import CleanUp
from tasks.parameters.upkeep import CleanUpParameters


@flow(name="clean-up", **FLOW_POLICY)
def clean_up(request: CleanUp = CleanUpParameters()) -> list[str]:
    """Return the names of what was removed (or would be, in a dry run).

    Endpoints whose time has passed or that failed, jobs that no run waits for, configs and models
    that no endpoint uses, and with an age, old files of this machine; at the end stands what still
    bills.
    """
    removed = remove_leftovers(request)
    if not request.dry_run:
        close_counting_ledgers()
    remove_old_files(request)
    return removed
