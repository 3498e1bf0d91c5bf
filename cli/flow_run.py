"""Run flows in this process, against the server that Prefect is configured for."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from prefect import tags
from prefect.exceptions import TerminationSignal

from flows.improve_training import improve_training
from flows.release_model import release_model
from platforms import Settings, connect
from platforms.errors import RunStopped
from platforms.processes.interrupts import NotedInterrupts
from tasks.cancelling.watch import RunCancelled
from tasks.costs.stop_billing import stop_everything
from tasks.improve.documents import Improvement
from tasks.parameters.improvement import ImprovementParameters
from tasks.parameters.run import Parameters
from tasks.requests.stop import stop_run
from tasks.runs.names import RunIdentity
from tasks.runs.record import RUN_FILE, finish, read_run, run_folder
from tasks.runs.record_model import RunRecord
from tasks.runs.stages import RESUME_TAG

# What a flow returns.
T = TypeVar("T")


def run_release(
    settings: Settings, parameters: dict[str, Parameters], name: str, *, resume: bool
) -> RunRecord:
    """Return the record of the finished run.

    When it is interrupted (Ctrl-C, SIGTERM), its jobs are stopped before the interrupt takes
    effect: abandoned jobs must not keep computing, or billing.

    Raises:
        RunStopped: it was cancelled, in the UI or by Prefect's commands; its jobs are stopped.
    """
    named = release_model.with_options(flow_run_name=name)
    try:
        with tags(RESUME_TAG) if resume else nullcontext():
            record: RunRecord = _interruptible(lambda: named(**parameters))  # type: ignore[call-overload]
    except KeyboardInterrupt:
        _stop(settings, name)
        raise
    except RunCancelled as cancelled:
        raise RunStopped(
            f"run {name!r} was cancelled, and its jobs were stopped; resume with: whippet run "
            f"--resume {shlex.quote(name)}"
        ) from cancelled
    return record


def run_improvement(
    settings: Settings, parameters: ImprovementParameters, run: RunIdentity
) -> Improvement:
    """Return what the improvement of ``run`` gave; interrupted, its job is stopped."""
    named = improve_training.with_options(flow_run_name=f"improve {run.name}")
    try:
        improvement = _interruptible(lambda: named(parameters))
    except KeyboardInterrupt:
        for job in stop_run(connect(settings), run, ["improve"]):
            print(f"stopped {job}", file=sys.stderr)
        raise
    except RunCancelled as cancelled:
        raise RunStopped(
            f"the improvement of run {run.name!r} was cancelled, and its job was stopped"
        ) from cancelled
    return improvement


def _interruptible(flow: Callable[[], T]) -> T:
    """Return what a flow gives; Ctrl-C and SIGTERM leave it as the same interrupt.

    Prefect ends its flow on SIGTERM and then sends the signal again, for the handler that was there
    before: Python's own would end this process before it stopped its jobs.
    """
    with NotedInterrupts(signal.SIGINT, signal.SIGTERM):
        try:
            return flow()
        except TerminationSignal as terminated:
            raise KeyboardInterrupt from terminated


def _stop(settings: Settings, name: str) -> None:
    if not (run_folder(settings, name) / RUN_FILE).exists():
        return
    run = read_run(settings, name).identity
    for job in stop_everything(connect(settings), run):
        print(f"stopped {job}", file=sys.stderr)
    finish(settings, run, "cancelled")
    print(f"resume with: whippet run --resume {shlex.quote(name)}", file=sys.stderr)
