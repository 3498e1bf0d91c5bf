"""Start supervisors, and start one again whenever somebody looks at a job whose own died."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from platforms.job_status import TERMINAL
from platforms.local.context import LocalContext, supervisor_environment
from platforms.local.records import Kind, Record
from platforms.local.warm_start.client import begin_supervisor
from platforms.processes.process import (
    ProcessError,
    ProcessId,
    alive,
    identify,
    spawn_detached,
    terminate_session,
)
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract.kill_points import reach

_SUPERVISOR_LOG = "supervisor.txt"
# A supervisor that dies this often is not being killed: something is wrong with the job.
_MAX_STARTS = 20


def start_supervisor(
    command: Sequence[str], *, log: Path, s3_endpoint: str | None, warm: Path | None = None
) -> ProcessId:
    """Start a module of ours with its arguments as a process that outlives its starter.

    Args:
        command: the module and its arguments.
        log: gets what it prints.
        s3_endpoint: the server of S3 that it uses, if any.
        warm: folder of the process that a job's own would be forked from (:mod:`warm_start
            <platforms.local.warm_start>`), perhaps.

    Raises:
        ProcessError: it cannot be started.
    """
    reach("supervisor: start")
    process = _started(command, log=log, s3_endpoint=s3_endpoint, warm=warm)
    reach("supervisor: started")
    return process


def _started(
    command: Sequence[str], *, log: Path, s3_endpoint: str | None, warm: Path | None
) -> ProcessId:
    argv = [sys.executable, "-m", *command]
    env = supervisor_environment(os.environ, s3_endpoint=s3_endpoint)
    if warm is not None:
        pid = begin_supervisor(warm, argv, env=env, log=log, cwd=PROJECT_ROOT)
        if pid is not None:
            return identify(pid)
    return spawn_detached(argv, env=env, log=log, cwd=PROJECT_ROOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """A kind of job that a supervisor can continue from its records.

    Attributes:
        module: the supervisor's program; its arguments are the home and the job's name. status: the
        member of a record that says whether its job is still running. failed: gives a record in the
        status ``Failed``, with a reason. sweeps: end what a dead supervisor left running before
        another one starts.
    """

    kind: Kind
    module: str
    status: str
    failed: Callable[[Record, str], Record]
    sweeps: bool = False

    def ensure(self, context: LocalContext, name: str) -> Record:
        """Return the record of a job, with a new supervisor if it needs one and has none.

        Under the record's lock, so of any number of callers one starts it; a supervisor that was
        started and not recorded (its starter was killed) finds that out and ends.

        Raises:
            Missing: there is no such job.
        """
        record = context.records.read(self.kind, name)
        if not self._needs_supervisor(record):
            return record
        return context.records.update(
            self.kind, name, lambda newest: self._with_supervisor(context, name, newest)
        )

    def begin(self, context: LocalContext, name: str) -> None:
        """Start the supervisor of a job whose record was just created.

        Raises:
            ProcessError: it cannot be started; the record is removed, as if never asked for.
        """
        try:
            self.ensure(context, name)
        except ProcessError:
            context.records.delete(self.kind, name)
            raise

    def _with_supervisor(self, context: LocalContext, name: str, newest: Record) -> Record:
        if not self._needs_supervisor(newest):
            return newest
        local, folder = newest["Local"], context.records.folder(self.kind, name)
        if self.sweeps and local["Supervisor"] is not None:
            terminate_session(ProcessId.from_record(local["Supervisor"]))
        if local["Starts"] >= _MAX_STARTS:
            log = folder / _SUPERVISOR_LOG
            return self.failed(newest, f"its supervisor died {_MAX_STARTS} times; see {log}")
        command = [self.module, str(context.home), name]
        log = folder / _SUPERVISOR_LOG
        process = start_supervisor(command, log=log, s3_endpoint=local.get("S3Endpoint"))
        started = {"Supervisor": process.to_record(), "Starts": local["Starts"] + 1}
        return {**newest, "Local": {**local, **started}}

    def _needs_supervisor(self, record: Record) -> bool:
        if record[self.status] in TERMINAL:
            return False
        supervisor = record["Local"]["Supervisor"]
        return supervisor is None or not alive(ProcessId.from_record(supervisor))
