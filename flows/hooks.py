"""What every flow has in common: no retries, hooks for its cancellation and its end, and parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from platforms import Settings, connect
from tasks.cancelled_runs import end_if_lost
from tasks.costs.stop_billing import stop_everything
from tasks.run_end import close_accounts
from tasks.runs.record import find_run, finish, settings_of
from tasks.runs.stages import note_completed, note_crashed, note_failed


class FlowPolicy(TypedDict):
    """Arguments of ``@flow`` that hold for all of ours."""

    retries: int
    persist_result: bool
    on_completion: list[Any]
    on_failure: list[Any]
    on_cancellation: list[Any]
    on_crashed: list[Any]


def stop_jobs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Stop the jobs of a cancelled run and remove its endpoint.

    May run in another process, so it knows only the run's id.

    Not for crashed runs: a paid job must not end because its watcher died; a resumed run adopts
    it, and ``MaxRuntimeInSeconds`` ends it in any case.

    A worker calls its hooks with the keywords ``flow``, ``flow_run`` and ``state``: the names of
    the parameters of every hook must stay these.
    """
    run = find_run(Settings(), str(flow_run.id))
    if run is not None:
        settings = settings_of(run)
        stop_everything(connect(settings), run)
        finish(settings, run, "cancelled")


def failed_or_cancelled(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Write down that a run failed, and why; end one that was cancelled."""
    if not end_if_lost(flow_run):
        note_failed(flow, flow_run, state)


def crashed_or_cancelled(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Record that a run crashed: its jobs continue. End a cancelled run."""
    if not end_if_lost(flow_run):
        note_crashed(flow, flow_run, state)


def close_run(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Publish what the ended run cost and what still bills; silent for subflows."""
    close_accounts(flow_run, find_run(Settings(), str(flow_run.id)))


FLOW_POLICY = FlowPolicy(
    # A retry of the whole flow would hide crashes; each task retries what passes by itself.
    retries=0,
    persist_result=False,
    on_completion=[note_completed, close_run],
    on_failure=[failed_or_cancelled, close_run],
    on_cancellation=[stop_jobs, close_run],
    on_crashed=[crashed_or_cancelled, close_run],
)


@contextmanager
def parts_of_a_run() -> Iterator[None]:
    """Let no subflow give signs of life of its own: the run gives them, and who looks, looks there.

    A flow that gives them waits at its end for the thread that does so, for up to a second.
    """
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield
