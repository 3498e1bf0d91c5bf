"""Training jobs of the local platform: create, describe, list, stop.

Each job runs under a detached supervisor (:mod:`platforms.local.training.supervisor`), so any
process can create, describe or stop any job. Errors match SageMaker's behaviour, which sometimes
differs from its documentation: describing or stopping a job that does not exist is a
``ValidationException`` "Requested resource not found." (aws/aws-sdk#165), and so is stopping one
that has ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from platforms.client_errors import answered, client_error
from platforms.errors import WhippetError
from platforms.job_environment import require_job_python
from platforms.job_status import TERMINAL
from platforms.local.boundary.hard_coded import hard_coded_notice
from platforms.local.context import LOGGER, LocalContext
from platforms.local.debugger.live_output import LiveOutput
from platforms.local.debugger.rule_statuses import (
    NOTHING_TO_JUDGE,
    UNJUDGED,
    closed,
    first_statuses,
    in_progress,
)
from platforms.local.honoured.naming import warn_ignored
from platforms.local.job_tree import JobTree
from platforms.local.listing import listing
from platforms.local.own_command.command import own_command
from platforms.local.records import Exists, Missing, Record, now, with_times
from platforms.local.supervision import start_supervisor
from platforms.local.toolkit.entry_point import submit_directory
from platforms.local.toolkit.image import version_notice
from platforms.local.training.abandonment import abandoned, fail_abandoned, left_unstarted
from platforms.local.training.description import described
from platforms.local.training.request import OPERATION, check_request, ignored_fields
from platforms.local.training.status import KIND, end, fail, move, with_supervisor
from platforms.local.warm_start.kind import WarmKind, kind_of
from platforms.processes.process import (
    ProcessError,
    ProcessId,
    identify,
    terminate_session,
)
from sm_entrypoints.contract.sentences import joined

_SUPERVISOR = "platforms.local.training.supervisor"
# SageMaker waits this long between SIGTERM and SIGKILL.
STOP_GRACE_SECONDS = 120.0


class TrainingJobs:
    """``create_training_job`` and its siblings, with boto3's keyword arguments."""

    def __init__(
        self, context: LocalContext, *, stop_grace_seconds: float = STOP_GRACE_SECONDS
    ) -> None:
        self._context = context
        self._stop_grace_seconds = stop_grace_seconds

    def create_training_job(self, **request: Any) -> dict[str, Any]:
        """Start a training job and return its ARN; the job outlives the caller.

        Raises:
            ClientError: ``ValidationException``, ``ResourceInUse``, ``ResourceLimitExceeded``.
            SettingsError: there is no job environment. Nothing has been written then.
        """
        return {"TrainingJobArn": self.launch(request)}

    def launch(self, request: dict[str, Any], *, tuning_job_arn: str | None = None) -> str:
        """Start a training job, perhaps as the trial of a tuning job, and return its ARN.

        Raises: as :meth:`create_training_job`.
        """
        check_request(self._context, request)
        require_job_python(self._context.settings.job_python)
        name = request["TrainingJobName"]
        record = self._new_record(request, tuning_job_arn)
        taken = (
            "Training job names must be unique within an AWS account and region, and a "
            f"training job with this name already exists ({record['TrainingJobArn']})"
        )
        with answered(Exists, OPERATION, "ResourceInUse", taken):
            self._context.records.create(KIND, name, record)
        warn_ignored(f"training job {name!r}", record["Local"]["Ignored"])
        notice = version_notice(request, record["Local"]["JobPython"])
        if notice and tuning_job_arn is None:  # of a trial the tuning job has said it
            LOGGER.warning("training job %r: %s", name, notice)
        self._warn_of_paths(name, record)
        self._start_supervisor(name, kind_of(record, self._context.home))
        arn: str = record["TrainingJobArn"]
        return arn

    def describe_training_job(self, **request: Any) -> dict[str, Any]:
        """Return what SageMaker's DescribeTrainingJob returns.

        A job whose supervisor died is ``Failed`` from now on, and what is left of it is killed.
        """
        return described(self._current("DescribeTrainingJob", request["TrainingJobName"]))

    def list_training_jobs(self, **request: Any) -> dict[str, Any]:
        """Return a page of training job summaries."""
        fields = (
            "TrainingJobName",
            "TrainingJobArn",
            "CreationTime",
            "TrainingEndTime",
            "LastModifiedTime",
            "TrainingJobStatus",
            "SecondaryStatus",
        )
        summaries = []
        for record in filter(_asked_for(request), self._context.records.list(KIND)):
            current = with_times(self._reconciled(record))
            summaries.append({key: current[key] for key in fields if key in current})
        return listing(
            "TrainingJobSummaries",
            "TrainingJobName",
            summaries,
            request,
            defaults=("CreationTime", "Ascending"),
        )

    def stop_training_job(self, **request: Any) -> dict[str, Any]:
        """Ask a job to stop: SIGTERM, 120 seconds, SIGKILL; artifacts are kept. Returns at once.

        A job that nobody has begun to run (its starter was interrupted) is ``Stopped`` at once.
        """
        operation, name = "StopTrainingJob", request["TrainingJobName"]
        if self._stopped_unstarted(name):
            return {}
        status = self._current(operation, name)["TrainingJobStatus"]
        if status in TERMINAL:
            raise client_error(
                operation,
                "ValidationException",
                f"The request was rejected because the training job is in status {status}.",
            )

        def stop(record: Record) -> Record:
            if record["TrainingJobStatus"] != "InProgress":
                return record
            if "Supervisor" not in record["Local"]:
                return _stopped(record)
            return move(record, "Stopping", status="Stopping")

        self._context.records.update(KIND, name, stop)
        return {}

    def _stopped_unstarted(self, name: str) -> bool:
        """Stop a job that its starter did not live to start, instead of starting it first."""
        found = self._context.records.find(KIND, name)
        if found is None or not left_unstarted(found):
            return False  # said by who describes it
        newest = self._context.records.update(
            KIND, name, lambda record: _stopped(record) if left_unstarted(record) else record
        )
        return bool(newest["TrainingJobStatus"] == "Stopped")

    def _current(self, operation: str, name: str) -> Record:
        unknown = "Requested resource not found."
        with answered(Missing, operation, "ValidationException", unknown):
            return self._reconciled(self._context.records.read(KIND, name))

    def _reconciled(self, record: Record) -> Record:
        """Return the record, changed to ``Failed`` if the job no longer has a supervisor.

        One whose starter died before it had one gets it now, from whoever looks.
        """
        if record["TrainingJobStatus"] in TERMINAL:
            return self._with_rules_ended(record)
        if left_unstarted(record):
            return self._context.records.update(KIND, record["TrainingJobName"], self._started)
        if not abandoned(record):
            return record
        supervisor = record["Local"].get("Supervisor")
        if supervisor is not None:
            terminate_session(ProcessId.from_record(supervisor))
        tree = JobTree(folder=self._context.records.folder(KIND, record["TrainingJobName"]))
        reason = (
            "InternalServerError: the supervisor of this job ended without a final status "
            f"(killed, or the machine restarted). Its log: {tree.supervisor_log}"
        )
        try:
            failed = self._context.records.update(
                KIND, record["TrainingJobName"], lambda newest: fail_abandoned(newest, reason)
            )
        except OSError as error:  # A full disk may be why it died: still say so.
            return fail(record, joined(reason, f"This cannot be recorded: {error}"))
        with suppress(OSError, WhippetError):  # Whoever reads its tensors waits for an end.
            LiveOutput(tree=tree, record=record, buckets=self._context.buckets).finish()
        return failed

    def _with_rules_ended(self, record: Record) -> Record:
        """Return the record of an ended job; with its unfinished rules ended too."""
        if not in_progress(record) or not abandoned(record):
            return record
        name = record["TrainingJobName"]
        return self._context.records.update(KIND, name, lambda newest: closed(newest, UNJUDGED))

    def _new_record(self, request: dict[str, Any], tuning_job_arn: str | None) -> Record:
        moment = now()
        record: Record = {
            "Tags": [],
            **request,
            "TrainingJobArn": self._context.arn("training-job", request["TrainingJobName"]),
            "TrainingJobStatus": "InProgress",
            "SecondaryStatusTransitions": [],
            "CreationTime": moment,
            "LastModifiedTime": moment,
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
            "EnableInterContainerTrafficEncryption": request.get(
                "EnableInterContainerTrafficEncryption", False
            ),
            "EnableManagedSpotTraining": request.get("EnableManagedSpotTraining", False),
            "Local": {
                **self._context.to_record(),
                "Boundary": self._context.boundary().to_record(),
                "StopGraceSeconds": self._stop_grace_seconds,
                "Ignored": ignored_fields(request),
                "Starter": identify(os.getpid()).to_record(),
            },
        }
        record |= first_statuses(request, self._context.arn("processing-job", ""))
        if tuning_job_arn is not None:
            record["TuningJobArn"] = tuning_job_arn
        return move(record, "Starting")

    def _warn_of_paths(self, name: str, record: Record) -> None:
        """Say that a source names ``/opt/ml`` where that is the machine's; the log says it, too."""
        if record["Local"]["Boundary"]["Mechanism"] != "none" or own_command(record):
            return
        archive = self._context.buckets.on_disk(submit_directory(record))
        notice = None if archive is None else hard_coded_notice(archive)
        if notice is not None:
            LOGGER.warning("training job %r: %s", name, notice)

    def _started(self, newest: Record) -> Record:
        """Start a job that nobody runs; under the record's lock, so that one of many does."""
        if not left_unstarted(newest):
            return newest
        kind = kind_of(newest, self._context.home)
        return with_supervisor(newest, self._supervisor(newest["TrainingJobName"], kind))

    def _supervisor(self, name: str, kind: WarmKind | None) -> ProcessId:
        tree = JobTree(folder=self._context.records.folder(KIND, name))
        return start_supervisor(
            [_SUPERVISOR, str(self._context.home), name],
            log=tree.supervisor_log,
            s3_endpoint=self._context.settings.s3_endpoint,
            warm=None if kind is None else kind.folder,
        )

    def _start_supervisor(self, name: str, kind: WarmKind | None) -> None:
        try:
            process = self._supervisor(name, kind)
        except ProcessError:
            # Nothing runs and nobody has seen it: as if it had never been asked for.
            self._context.records.delete(KIND, name)
            raise
        self._context.records.update(KIND, name, lambda record: with_supervisor(record, process))


def _asked_for(request: dict[str, Any]) -> Callable[[Record], bool]:
    """Return what tells jobs that pass the filters of which ``listing`` knows nothing."""
    plan = request.get("TrainingPlanArnEquals")
    if "WarmPoolStatusEquals" in request:
        LOGGER.warning("ListTrainingJobs: no job here keeps a warm pool: WarmPoolStatusEquals")
        return lambda record: False
    return lambda record: plan in (None, record["ResourceConfig"].get("TrainingPlanArn"))


def _stopped(record: Record) -> Record:
    # A supervisor that comes yet finds it so.
    return closed(end(record, "Stopped"), NOTHING_TO_JUDGE)
