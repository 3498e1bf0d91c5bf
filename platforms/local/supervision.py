"""Start supervisors, and start one again whenever somebody looks at a job whose own died."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platforms.errors import WhippetError
from platforms.job_status import TERMINAL
from platforms.local.context import LocalContext, supervisor_environment
from platforms.local.records import Kind, Record, now
from platforms.local.training.status import MAX_REASON
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
    argv = [sys.executable, "-m", *command]
    env = supervisor_environment(os.environ, s3_endpoint=s3_endpoint)
    pid = begin_supervisor(warm, argv, env=env, log=log, cwd=PROJECT_ROOT) if warm else None
    process = identify(pid) if pid else spawn_detached(argv, env=env, log=log, cwd=PROJECT_ROOT)
    reach("supervisor: started")
    return process


@contextmanager
def as_failure(fail: Callable[[str], None], own: type[Exception]) -> Iterator[None]:
    """Give a job the status ``Failed`` for whatever ends the block, with the reason.

    Args:
        fail: gives it that status.
        own: errors that say all themselves.
    """
    try:
        yield
    except own as error:
        fail(str(error))
    except (WhippetError, OSError) as error:
        # What went wrong around the job: a damaged archive, a full disk, no permission.
        fail(f"ClientError: {error}")
    except Exception as error:  # The outermost edge: a status must not be lost.
        fail(f"InternalServerError: {type(error).__name__}: {error}")
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """A kind of job that a supervisor can continue from its records.

    Attributes:
        module: the supervisor's program; its arguments are the home and the job's name. prefix:
        what the members of a record begin with. resource: the word in ARNs. blames: what the reason
        begins with when its supervisors die. sweeps: end what a dead supervisor left running before
        another one starts.
    """

    kind: Kind
    module: str
    prefix: str
    resource: str
    blames: str = ""
    sweeps: bool = False

    def new_record(self, context: LocalContext, request: Record, **local: Any) -> Record:
        """Return the record of a job that has just been asked for; ``local`` is what it keeps."""
        moment = now()
        return {
            "Tags": [],
            **request,
            f"{self.prefix}JobArn": context.arn(self.resource, request[f"{self.prefix}JobName"]),
            f"{self.prefix}JobStatus": "InProgress",
            "CreationTime": moment,
            "LastModifiedTime": moment,
            "Local": {**context.to_record(), "Supervisor": None, "Starts": 0, **local},
        }

    def ended(self, record: Record, status: str, reason: str | None = None) -> Record:
        """Return the record in a final status; a job that already has one stays unchanged."""
        if record[f"{self.prefix}JobStatus"] in TERMINAL:
            return record
        moment = now()
        return {
            **record,
            f"{self.prefix}JobStatus": status,
            "LastModifiedTime": moment,
            f"{self.prefix}EndTime": moment,
            **({"FailureReason": reason[:MAX_REASON]} if reason else {}),
        }

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
        log = folder / _SUPERVISOR_LOG
        if local["Starts"] >= _MAX_STARTS:
            reason = f"{self.blames}its supervisor died {_MAX_STARTS} times; see {log}"
            return self.ended(newest, "Failed", reason)
        command = [self.module, str(context.home), name]
        process = start_supervisor(command, log=log, s3_endpoint=local.get("S3Endpoint"))
        started = {"Supervisor": process.to_record(), "Starts": local["Starts"] + 1}
        return {**newest, "Local": {**local, **started}}

    def _needs_supervisor(self, record: Record) -> bool:
        if record[f"{self.prefix}JobStatus"] in TERMINAL:
            return False
        supervisor = record["Local"]["Supervisor"]
        return supervisor is None or not alive(ProcessId.from_record(supervisor))
