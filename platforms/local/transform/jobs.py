"""Transform jobs of the local platform: create, describe, list, stop.

Each runs under a detached supervisor (:mod:`platforms.local.transform.supervisor`) with its own
model server. If the supervisor died, whoever describes or stops the job next restarts it: outputs
already written stay, and the rest is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from platforms.client_errors import answered, client_error
from platforms.job_environment import require_job_python
from platforms.job_status import TERMINAL
from platforms.local.buckets.buckets import BadUri, BucketError
from platforms.local.context import LocalContext
from platforms.local.honoured.naming import warn_ignored
from platforms.local.hosting.models import container_of, read_model
from platforms.local.listing import listing
from platforms.local.records import Exists, Missing, Record, with_times
from platforms.local.transform.inputs import input_objects
from platforms.local.transform.record import KIND, SUPERVISED, stopping
from platforms.local.transform.request import (
    OPERATION,
    check_request,
    ignored_fields,
    plan,
)
from sm_entrypoints.contract.sentences import ended

_SUMMARY = (
    "TransformJobName",
    "TransformJobArn",
    "CreationTime",
    "TransformEndTime",
    "LastModifiedTime",
    "TransformJobStatus",
    "FailureReason",
)


class TransformJobs:
    """``create_transform_job`` and its siblings, with boto3's keyword arguments."""

    def __init__(self, context: LocalContext) -> None:
        self._context = context

    def create_transform_job(self, **request: Any) -> dict[str, Any]:
        """Start a transform job and return its ARN; the job outlives the caller.

        Raises:
            ClientError: ``ValidationException`` (no such model, no input, what this platform
                cannot do) or ``ResourceInUse``.
            SettingsError: there is no job environment. Nothing has been written then.
        """
        name = request["TransformJobName"]
        check_request(request)
        model = read_model(self._context, OPERATION, request["ModelName"])
        self._require_input(request)
        require_job_python(self._context.settings.job_python)
        container = dict(container_of(model))
        record = SUPERVISED.new_record(self._context, request, Container=container)
        taken = (
            "Job name must be unique within an AWS account and region, and a job with this "
            f"name already exists ({record['TransformJobArn']})"
        )
        with answered(Exists, OPERATION, "ResourceInUse", taken):
            self._context.records.create(KIND, name, record)
        warn_ignored(f"transform job {name!r}", ignored_fields(request))
        SUPERVISED.begin(self._context, name)
        return {"TransformJobArn": record["TransformJobArn"]}

    def describe_transform_job(self, **request: Any) -> dict[str, Any]:
        """Return what SageMaker's DescribeTransformJob returns."""
        record = self._current("DescribeTransformJob", request["TransformJobName"])
        hidden = {"Tags", "Local", "LastModifiedTime"}
        described: dict[str, Any] = with_times(
            {key: value for key, value in record.items() if key not in hidden}
        )
        return described

    def list_transform_jobs(self, **request: Any) -> dict[str, Any]:
        """Return a page of summaries, newest first. Only looks: no job is taken up again."""
        summaries = [
            with_times({key: record[key] for key in _SUMMARY if key in record})
            for record in self._context.records.list(KIND)
        ]
        return listing("TransformJobSummaries", "TransformJobName", summaries, request)

    def stop_transform_job(self, **request: Any) -> dict[str, Any]:
        """Ask a job to stop; what was written stays. Returns at once."""
        operation, name = "StopTransformJob", request["TransformJobName"]
        status = self._current(operation, name)["TransformJobStatus"]
        if status in TERMINAL:
            raise client_error(
                operation,
                "ValidationException",
                f"The request was rejected because the transform job is in status {status}.",
            )
        self._context.records.update(KIND, name, stopping)
        return {}

    def _current(self, operation: str, name: str) -> Record:
        unknown = (
            f"Could not find requested job with name: {self._context.arn('transform-job', name)}"
        )
        with answered(Missing, operation, "ValidationException", unknown):
            return SUPERVISED.ensure(self._context, name)

    def _require_input(self, request: Mapping[str, Any]) -> None:
        chosen = plan(request)
        try:
            first = next(input_objects(chosen, self._context.buckets), None)
        except (BadUri, BucketError) as error:
            raise client_error(OPERATION, "ValidationException", ended(error)) from error
        if first is None:
            raise client_error(
                OPERATION,
                "ValidationException",
                f'No S3 objects found under S3 URL "{chosen.source}" given in input data source. '
                "Please ensure that the bucket exists in the selected region, and that objects "
                "exist under that S3 prefix.",
            )
