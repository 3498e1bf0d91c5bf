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
from platforms.processes.interrupts import NotedInterrupts, interrupted, uninterrupted
from tasks.cancelling.watch import RunCancelled
from tasks.costs.stop_billing import stop_everything
from tasks.improve.documents import Improvement
from tasks.parameters.improvement import ImprovementParameters
from tasks.parameters.run import Parameters
from tasks.requests.stop import stop_improvement
from tasks.runs.names import RunIdentity
from tasks.runs.record import find_run, finish, known_run
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
    ids: list[str] = []
    named = release_model.with_options(
        flow_run_name=name, on_running=[lambda flow, flow_run, state: ids.append(str(flow_run.id))]
    )
    try:
        with tags(RESUME_TAG) if resume else nullcontext():
            record: RunRecord = _interruptible(
                lambda: named(**parameters),  # type: ignore[call-overload]
                stop=lambda: _stop(settings, ids),
                what=f"run {name!r}",
            )
    except RunCancelled as cancelled:
        run = _own_run(settings, ids)
        own = run.name if run else name
        raise RunStopped(
            f"run {own!r} was cancelled, and its jobs were stopped; resume with: whippet run "
            f"--resume {shlex.quote(own)}"
        ) from cancelled
    return record


def run_improvement(
    settings: Settings, parameters: ImprovementParameters, run: RunIdentity
) -> Improvement:
    """Return what the improvement of ``run`` gave; interrupted, its job is stopped."""
    ids: list[str] = []
    named = improve_training.with_options(
        flow_run_name=f"improve {run.name}",
        on_running=[lambda flow, flow_run, state: ids.append(str(flow_run.id))],
    )
    try:
        improvement = _interruptible(
            lambda: named(parameters),
            stop=lambda: _print_stopped(
                [name for id in ids for name in stop_improvement(connect(settings), id)]
            ),
            what=f"the improvement of run {run.name!r}",
        )
    except RunCancelled as cancelled:
        raise RunStopped(
            f"the improvement of run {run.name!r} was cancelled, and its job was stopped"
        ) from cancelled
    return improvement


def _interruptible(flow: Callable[[], T], *, stop: Callable[[], None], what: str) -> T:
    """Return what a flow gives; Ctrl-C and SIGTERM ``stop`` it, and leave it as the same interrupt.

    Prefect ends its flow on SIGTERM and then sends the signal again, for the handler that was there
    before: Python's own would end this process before it stopped its jobs. A second interrupt ends
    nothing sooner: what it would leave behind would go on billing.
    """
    said = f"interrupted: stopping what {what} has started; this may take some minutes"
    with NotedInterrupts(signal.SIGINT, signal.SIGTERM, said=said):
        try:
            return flow()
        except TerminationSignal as terminated:
            _stop_undisturbed(stop, what)
            raise KeyboardInterrupt from terminated
        except BaseException:
            if interrupted():
                _stop_undisturbed(stop, what)
            raise


def _stop_undisturbed(stop: Callable[[], None], what: str) -> None:
    said = f"still stopping what {what} has started: wait for it, or it goes on and may bill"
    done = False
    while not done:
        try:
            with uninterrupted(said):
                stop()
                done = True
        except KeyboardInterrupt:  # A moment before the block, or it was answered inside of it.
            continue


def _own_run(settings: Settings, ids: list[str]) -> RunIdentity | None:
    """Return the run of this process's own flow run: another one may have the name it asked for."""
    return find_run(settings, ids[0]) if ids else None


def _stop(settings: Settings, ids: list[str]) -> None:
    run = _own_run(settings, ids)
    if run is None:  # It never came so far as to start anything.
        return
    current = known_run(settings, run.name)
    if current is None or current.flow_run_id != run.flow_run_id:
        print(f"run {run.name!r} is continued elsewhere: its jobs go on", file=sys.stderr)
        return
    _print_stopped(stop_everything(connect(settings), run))
    finish(settings, run, "cancelled")
    print(f"resume with: whippet run --resume {shlex.quote(run.name)}", file=sys.stderr)


def _print_stopped(names: list[str]) -> None:
    for name in names:
        print(f"stopped {name}", file=sys.stderr)
