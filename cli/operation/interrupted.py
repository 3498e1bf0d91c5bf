"""What became of the runs of this home, and what `whippet recover` does with each."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from platforms import Settings
from tasks.cancelled_runs import SIGHT
from tasks.runs.ownership import at_work, owner
from tasks.runs.record import every_run
from tasks.runs.record_model import RunRecord

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

# Where a run goes on: with its worker, in this process, or nowhere.
Place = Literal["worker", "here", "nowhere"]
_DEAD, _CRASHED = "its process is gone", "its process ended before its end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """A run that has not come to its end, and what is to be done.

    ``why`` says it for people; of a run that goes on nowhere, why it is left alone.
    """

    run: RunRecord
    place: Place
    found: str
    why: str

    @property
    def row(self) -> dict[str, str]:
        """A row of a table."""
        return {"run": self.run.name, "found": self.found, "what": self.why}


def interrupted_runs(
    settings: Settings, client: SyncPrefectClient | None, asked: Sequence[str]
) -> list[Interrupted]:
    """Return the runs of this home that have not ended, or those that are ``asked`` for.

    Without a ``client`` no run is known to have a worker.
    """
    runs = sorted(every_run(settings), key=lambda each: each.started or "")
    chosen = [each for each in runs if each.name in asked] if asked else runs
    return list(_judged(settings, client, chosen, asked=bool(asked)))


def _judged(
    settings: Settings,
    client: SyncPrefectClient | None,
    runs: Iterable[RunRecord],
    *,
    asked: bool,
) -> Iterator[Interrupted]:
    for run in runs:
        found, left = _found(settings, run, asked=asked)
        if left is None:
            place, why = _place(client, run)
            yield Interrupted(run=run, place=place, found=found, why=why)
        elif asked or run.status in ("running", "waiting", "crashed"):
            yield Interrupted(run=run, place="nowhere", found=found, why=f"left alone: {left}")


def _found(settings: Settings, run: RunRecord, *, asked: bool) -> tuple[str, str | None]:
    """Return what became of a run, and why it is left alone; None: it is to go on."""
    resume = f"`whippet run --resume {shlex.quote(run.name)}` runs what is missing"
    working = at_work(settings, run.name) if run.status in ("running", "waiting") else None
    if working:
        return run.status, f"it goes on in process {owner(settings, run.name)}"
    if run.status == "running":
        return (_DEAD, None) if working is False else ("running", "not on this machine")
    if run.status == "crashed":
        old = "" if asked else _too_old(run)
        return _CRASHED, old or None
    if run.status == "failed" and asked:
        return "failed", None
    reasons = {
        "waiting": "it waits for an answer",
        "cancelled": f"it was cancelled; {resume}",
        "failed": f"it failed; {resume}",
    }
    return run.status, reasons.get(run.status, "it has come to its end")


def _too_old(run: RunRecord) -> str:
    ended = None if run.ended is None else datetime.fromisoformat(run.ended)
    if ended is None or datetime.now(UTC) - ended < SIGHT:
        return ""
    return f"that was more than {SIGHT.days} days ago; ask for it by its name"


def _place(client: SyncPrefectClient | None, run: RunRecord) -> tuple[Place, str]:
    """Return where a run goes on: with its worker where it has a deployment."""
    known = None if client is None else flow_run_of(client, run.flow_run_id)
    if known is not None and known.deployment_id is not None:
        return "worker", "goes back to its worker"
    return "here", "goes on here"


def flow_run_of(client: SyncPrefectClient, flow_run_id: str) -> FlowRun | None:
    """Return a flow run of the server; None for another server's, or for no flow run."""
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_flow_run(UUID(flow_run_id))
    except (ObjectNotFound, ValueError):
        return None
