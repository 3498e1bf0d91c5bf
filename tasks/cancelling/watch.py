"""A run handles its own cancel: it stops its jobs and ends, with or without a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

import httpx
from prefect import get_run_logger, runtime
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import Abort, PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Cancelled

from platforms.processes.interrupts import end_if_interrupted
from tasks.cancelling.history import CANCELS, cancel_asked

# Between two looks, and how long the worker of a deployment's run has to do it.
LOOK_SECONDS, WORKER_SECONDS = 5.0, 10.0
_UNDERWAY = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING)
_SERVER_TROUBLE = (httpx.HTTPError, PrefectException)


class RunCancelled(Abort):
    """Ends a cancelled run: no engine above writes another state, for they are all written."""

    def __init__(self, message: str, state: State[object] | None = None) -> None:
        super().__init__(message)
        # Where Prefect's engines look for the state that the run has now.
        self.state = state


class CancelWatch:
    """Looks every few seconds whether the flow run of this code, or its root, was cancelled.

    Outside of a flow run it sees nothing. A server that does not answer ends no run.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._looked = now, float("-inf")
        self._seen: float | None = None

    def look(self) -> None:
        """End the run if it was cancelled; asks the server at most every ``LOOK_SECONDS``.

        The worker of a deployment's run gets the time to end it first.

        Raises:
            RunCancelled: its jobs are stopped, and its states are written.
            KeyboardInterrupt: an interrupt came, and was lost on its way.
        """
        end_if_interrupted()
        if self._now() - self._looked < LOOK_SECONDS:
            return
        self._looked = self._now()
        if not _is_cancelled(closely=False):
            return
        if self._seen is None:
            self._seen = self._now()
        if _has_worker() and self._now() - self._seen < WORKER_SECONDS:
            return
        _end()


def end_if_cancelled() -> None:
    """End the run now if a cancel was ever asked for: before it begins what costs something.

    Raises:
        RunCancelled: its jobs are stopped, and its states are written.
        KeyboardInterrupt: an interrupt came, and was lost on its way.
    """
    end_if_interrupted()
    if _is_cancelled(closely=True):
        _end()


def end_if_stopped(status: str) -> None:
    """End the run now if its job was stopped, and a cancel is why: see :func:`end_if_cancelled`."""
    if status == "Stopped":
        end_if_cancelled()


def _is_cancelled(*, closely: bool) -> bool:
    """Read the states of this flow run and its root; ``closely``, all that they ever had."""
    client = _client()
    if client is None:
        return False
    try:
        # A busy server must not keep the wait from seeing how the job is.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            return any(_to_end(client, flow_run, closely=closely) for flow_run in _flow_runs())
    except _SERVER_TROUBLE as error:
        get_run_logger().debug("cannot see whether this run was cancelled: %s", error)
        return False


def _to_end(client: SyncPrefectClient, flow_run: UUID, *, closely: bool) -> bool:
    if not closely:
        state = client.read_flow_run(flow_run).state
        if state is None or state.type in _UNDERWAY:
            return False
        if state.type in CANCELS:
            return True
    return cancel_asked(client.read_flow_run_states(flow_run)) is not None


def _client() -> SyncPrefectClient | None:
    context = FlowRunContext.get()
    client = None if context is None else context.client
    return client if isinstance(client, SyncPrefectClient) else None


def _flow_runs() -> list[UUID]:
    """Return the ids of this flow run and of its root, which may be the same."""
    ids = (runtime.flow_run.id, runtime.flow_run.root_flow_run_id)
    return [UUID(str(each)) for each in dict.fromkeys(ids) if each is not None]


def _root(client: SyncPrefectClient) -> FlowRun:
    return client.read_flow_run(_flow_runs()[-1])


def _has_worker() -> bool:
    client = _client()
    try:
        return client is not None and _root(client).deployment_id is not None
    except _SERVER_TROUBLE:
        return True  # it is asked again


def _end() -> None:
    """Do what the worker would do: the flow's hooks for a cancel, then the states."""
    context, client = FlowRunContext.get(), _client()
    if context is None or client is None or context.flow is None:
        return
    message = "Cancelled: the run stopped its jobs itself."
    get_run_logger().warning("this run was cancelled: stopping its jobs")
    root = _root(client)
    state: State[object] = Cancelled(message=message)
    for hook in context.flow.on_cancellation_hooks or []:
        # By name, as a worker does.
        hook(flow=context.flow, flow_run=root, state=state)
    raise RunCancelled(message, _write_states(client, message))


def _write_states(client: SyncPrefectClient, message: str) -> State[object] | None:
    """Write Cancelled for the task, this flow and its root; return the root's state."""
    written: State[object] | None = None
    context = TaskRunContext.get()
    task_runs = [] if context is None else [context.task_run.id]
    for write, runs in (
        (client.set_task_run_state, task_runs),
        (client.set_flow_run_state, _flow_runs()),
    ):
        for run in runs:
            try:
                written = write(run, Cancelled(message=message), force=True).state or written
            except _SERVER_TROUBLE as error:  # the jobs are stopped; recover-runs writes the rest
                get_run_logger().warning("the cancel of %s could not be recorded: %s", run, error)
    return written
