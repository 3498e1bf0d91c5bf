"""Runs that ended well and put no model in service: a person said no, or another run waits.

Nothing failed, so they are Completed. Prefect's lists of runs show states of its own names only:
one called "Refused" would be in none of them. So the state keeps Prefect's name, its message is the
sentence, and a tag tells such runs from the others in a list.
"""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State

from tasks.runs.approval_parts import NOT_DEPLOYED

REFUSED, HELD_BACK = "refused", "held-back"


def is_refusal(state: State[object]) -> bool:
    """Say whether a run ended in this state because the answer was no."""
    return state.is_completed() and (state.message or "").startswith(NOT_DEPLOYED)


def tag_ending(client: SyncPrefectClient, flow_run_id: UUID, ending: str | None) -> None:
    """Give a run the tag of its ending, and take away another ending's; None: it ends as usual.

    A tag helps people to find a run, and nothing needs it: no answer of the server is no fault.
    """
    with suppress(httpx.HTTPError):
        known = set(client.read_flow_run(flow_run_id).tags)
        tags = (known - {REFUSED, HELD_BACK}) | ({ending} if ending else set())
        if tags != known:
            client.update_flow_run(flow_run_id, tags=sorted(tags))
