"""Endpoints that serve no live run, and the configs and models that are left without one."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from platforms import Platform
from tasks.costs.still_billing import endpoint_billing
from tasks.endpoints.idleness import idleness
from tasks.endpoints.inventory import OwnedResource, list_endpoints, meant_by
from tasks.endpoints.unused import list_unused
from tasks.leftovers.leftover import Kind, Leftover
from tasks.parameters.upkeep import CleanUpParameters
from tasks.runs.record_model import RunRecord

# A record of a run whose process was killed says "running" for ever.
_LONGEST_RUN = timedelta(days=1)
_KINDS: dict[str, Kind] = {"EndpointConfig": "endpoint config", "Model": "model"}
_BILLS_NOTHING = ("Failed", "Deleting")


def left_endpoints(
    platform: Platform,
    parameters: CleanUpParameters,
    runs: Mapping[str, RunRecord],
    now: datetime,
) -> Iterator[Leftover]:
    """Yield the endpoints that are to go; ``runs`` are the records here, by name."""
    owned = list_endpoints(platform)
    asked = {state.name for state in meant_by(parameters, owned, now)}
    lost = set(platform.lost_endpoints())  # They come back, unless their time has passed.
    for state in owned:
        why = _why(state, asked, now)
        if why is None and parameters.endpoint is None and state.name not in lost:
            why = _why_unowned(state, runs.get(state.run), now)
        if why is None and parameters.idle_hours is not None and parameters.endpoint is None:
            why = _why_idle(platform, state, parameters.idle_hours, now)
        if why is not None:
            yield _endpoint(platform, state, why)


def left_records(
    platform: Platform, parameters: CleanUpParameters, now: datetime
) -> Iterator[Leftover]:
    """Yield the configs and models that are to go: they bill nothing, but hold names."""
    for each in meant_by(parameters, list_unused(platform), now):
        yield Leftover(
            kind=_KINDS[each.kind],
            name=each.name,
            status=each.status,
            run=each.run,
            created=each.created,
            why="no endpoint uses it",
        )


def _why(state: OwnedResource, asked: Container[str], now: datetime) -> str | None:
    if state.name not in asked:
        return None
    return "its time to live has passed" if state.expired(now) else "you asked for it"


def _why_unowned(state: OwnedResource, run: RunRecord | None, now: datetime) -> str | None:
    """Say why nobody wants an endpoint whose time has not passed; None: somebody may."""
    if run is not None and run.status == "cancelled" and run.jobs.get("endpoint") == state.name:
        return "its run was cancelled"
    at_work = run is not None and run.status == "running" and now - state.created < _LONGEST_RUN
    if state.status == "Failed" and not at_work:
        return "it failed: it serves nobody and holds its name"
    return None


def _why_idle(platform: Platform, state: OwnedResource, hours: float, now: datetime) -> str | None:
    """Say that nobody asks an endpoint in service; None: somebody does, or it is not known."""
    if state.status != "InService":
        return None
    idle = idleness(platform, state, now)
    quiet = idle.hours(now)
    return idle.words(now) if quiet is not None and quiet >= hours else None


def _endpoint(platform: Platform, state: OwnedResource, why: str) -> Leftover:
    bills = state.status not in _BILLS_NOTHING
    billing = endpoint_billing(platform, state) if bills else None
    return Leftover(
        kind="endpoint",
        name=state.name,
        status=state.status,
        run=state.run,
        created=state.created,
        why=why,
        usd_per_hour=Decimal(0) if billing is None else billing.usd_per_hour,
        no_price="" if billing is None else billing.no_price,
    )
