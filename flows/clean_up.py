"""Remove what no live run owns: expired and broken endpoints, forgotten jobs, unused models."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.hooks import FLOW_POLICY
from flows.naming import named
from tasks.cleaning import close_counting_ledgers, remove_leftovers, remove_old_files
from tasks.parameters.groups import CleanUp
from tasks.parameters.upkeep import CleanUpParameters
from tasks.stories.names import clean_up_name
from tasks.stories.outcomes import cleaned


@flow(name="clean-up", flow_run_name=named(clean_up_name), **FLOW_POLICY)
def clean_up(request: CleanUp = CleanUpParameters()) -> list[str] | State[Any]:
    """Return the names of what was removed (or would be, in a dry run).

    Endpoints whose time has passed or that failed, jobs that no run waits for, configs and models
    that no endpoint uses, and with an age, old files of this machine; at the end stands what still
    bills.
    """
    removed = remove_leftovers(request)
    if not request.dry_run:
        close_counting_ledgers()
    remove_old_files(request)
    return Completed(message=cleaned(removed, dry_run=request.dry_run), data=removed)
