"""Run flows in this process, against the server that Prefect is configured for."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from prefect import tags
from prefect.exceptions import TerminationSignal

from flows.improve_training import improve_training
from flows.release_model import release_model
from platforms import Settings, connect
from platforms.errors import RunStopped
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
        with _terminated_like_interrupted(), tags(RESUME_TAG) if resume else nullcontext():
            record: RunRecord = named(**parameters)  # type: ignore[call-overload]
    except (KeyboardInterrupt, TerminationSignal) as interrupt:
        _stop(settings, name)
        raise KeyboardInterrupt from interrupt
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
        with _terminated_like_interrupted():
            improvement: Improvement = named(parameters)
    except (KeyboardInterrupt, TerminationSignal) as interrupt:
        for job in stop_run(connect(settings), run, ["improve"]):
            print(f"stopped {job}", file=sys.stderr)
        raise KeyboardInterrupt from interrupt
    except RunCancelled as cancelled:
        raise RunStopped(
            f"the improvement of run {run.name!r} was cancelled, and its job was stopped"
        ) from cancelled
    return improvement


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Answer SIGTERM as Ctrl-C is answered.

    Prefect ends its flow and then sends the signal again, for the handler that was there before:
    Python's own would end this process before it stopped its jobs.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(settings: Settings, name: str) -> None:
    if not (run_folder(settings, name) / RUN_FILE).exists():
        return
    run = read_run(settings, name).identity
    for job in stop_everything(connect(settings), run):
        print(f"stopped {job}", file=sys.stderr)
    finish(settings, run, "cancelled")
    print(f"resume with: whippet run --resume {shlex.quote(name)}", file=sys.stderr)
