"""Which run a flow belongs to, and how long each of its stages took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePath
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client, get_run_logger, runtime
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from pydantic import BaseModel, JsonValue

from platforms import Settings
from tasks.cancelling.watch import end_if_cancelled
from tasks.runs.endings import is_refusal
from tasks.runs.log_lines import leave_out_bookkeeping
from tasks.runs.names import RunIdentity
from tasks.runs.ownership import take
from tasks.runs.record import find_run, finish, open_run, read_run, record
from tasks.runs.record_model import RunFacts

_OWNER_SECONDS = 5.0
RESUME_TAG = "whippet-resume"
# What a record says of a run that may be resumed under its own id.
_OVER = ("cancelled", "crashed", "failed")


def current_run() -> RunIdentity:
    """Return the identity of the flow run that this code runs in, or of its root.

    Subflows share their root's identity, so all stages of a run write into one folder. This process
    works on the run from now on; it waits for another one of this machine that does.

    Raises:
        RunCancelled: somebody cancelled the run meanwhile.
    """
    leave_out_bookkeeping()
    run = _identity()
    take(Settings(), run, _wait_for_owner)
    return run


def _wait_for_owner() -> None:
    get_run_logger().warning("another process still works on this run: waiting until it ends")
    end_if_cancelled()
    time.sleep(_OWNER_SECONDS)


def _identity() -> RunIdentity:
    settings = Settings()
    root = str(runtime.flow_run.root_flow_run_id)
    run = find_run(settings, root)
    if run is not None:
        return run
    with get_client(sync_client=True) as client:  # this may be a subflow: its root has the name
        flow_run = client.read_flow_run(UUID(root))
        # As the flow has them, defaults included: what was sent may be in the shape of a form.
        is_own = str(runtime.flow_run.id) == root
        given = runtime.flow_run.parameters if is_own else flow_run.parameters
        parameters = _settled({name: _plain(value) for name, value in given.items()})
        tags = {*flow_run.tags, f"platform:{settings.platform}", *_tags(parameters)}
        with suppress(httpx.HTTPError):  # they help people to find a run; nothing needs them
            client.update_flow_run(UUID(root), tags=sorted(tags))
    resume = RESUME_TAG in flow_run.tags
    return open_run(settings, root, flow_run.name, parameters, resume=resume)


def _tags(parameters: dict[str, JsonValue]) -> list[str]:
    """Return tags that tell a run's data set and network."""
    data, model = parameters.get("data"), parameters.get("model")
    tags = []
    if isinstance(data, dict) and (path := str(data.get("path") or "")):
        tags.append(f"data:{data.get('name') or PurePath(path).name or path}")
    if isinstance(model, dict) and model.get("architecture"):
        tags.append(f"model:{model['architecture']}")
    return tags


def _settled(parameters: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return parameters by group, with what a form has in its advanced part."""
    advanced = parameters.pop("advanced", None)
    for name, changed in advanced.items() if isinstance(advanced, dict) else ():
        values = parameters.get(name)
        if isinstance(values, dict) and isinstance(changed, dict):
            parameters[name] = {**values, **changed}
    return parameters


def _plain(value: BaseModel | JsonValue) -> JsonValue:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


@contextmanager
def stage(name: str) -> Iterator[RunIdentity]:
    """Give the run's identity to a stage, and record its seconds, even if it fails. The seconds of
    a resumed run are added to those of the stage before. A cancelled run begins no other stage.

    Raises:
        RunCancelled: somebody cancelled the run.
    """
    end_if_cancelled()
    run, settings = current_run(), Settings()
    found = read_run(settings, run.name)
    if found.status in _OVER and found.flow_run_id == run.flow_run_id:
        # It was resumed under its own id: whoever reads the record must not take it for ended.
        record(settings, run, RunFacts(status="running", ended=None, error=None))
    before = found.seconds.get(name, 0.0)
    started = time.monotonic()
    try:
        yield run
    finally:
        seconds = round(before + time.monotonic() - started, 2)
        record(settings, run, RunFacts(seconds={name: seconds}))


def note_completed(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Write into the run's record that it completed, or that its model was refused; a hook, silent
    for subflows.
    """
    _note(flow_run, "refused" if is_refusal(state) else "completed", None)


def note_failed(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Write into the run's record that it failed, and why; a hook, silent for subflows."""
    _note(flow_run, "failed", state.message)


def note_crashed(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Record in the run's record that its process died; its jobs continue, to be adopted."""
    _note(flow_run, "crashed", state.message)


def _note(flow_run: FlowRun, status: str, error: str | None) -> None:
    settings = Settings()
    run = find_run(settings, str(flow_run.id))
    if run is not None:
        finish(settings, run, status, error)
