"""A SageMaker whose jobs are done at once: they end as those of one real run did.

That run's descriptions, outputs and answers are kept; names are made those of the run that asks.
Requests are checked as everywhere, and nothing is described that was not created before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import httpx
from starlette.responses import Response

from platforms.local.api.answers import ANSWERED, failure, result
from platforms.local.api.shapes import from_wire, to_wire
from platforms.validation import service_model
from tasks.runs.record_model import RunRecord
from tests.aws.account import BUCKET, Account, role_policy
from tests.worlds.fake_sagemaker import FakeSageMaker

_SNAKE = {
    "TrainingJob": "training_job",
    "HyperParameterTuningJob": "hyper_parameter_tuning_job",
}
_TRIALS = "ListTrainingJobsForHyperParameterTuningJob"


@dataclass(kw_only=True)
class Recording:
    """What one real run left.

    Attributes:
        prefix: how the names of that run begin.
        jobs: descriptions of training and tuning jobs by operation and name, as JSON text.
        objects: outputs of its jobs by key.
        answers: the endpoint's answers by the SHA-256 of the image.
    """

    prefix: str = ""
    jobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)


class RecordedSageMaker:
    """Answers calls over the wire. ``put`` writes an object of a job that is done."""

    def __init__(self, recording: Recording, put: Callable[[str, bytes], None]) -> None:
        self._recording, self._put = recording, put
        self.fake = FakeSageMaker()

    def forget(self) -> None:
        """Have nothing, as in a new account."""
        self.fake = FakeSageMaker()

    def leave_behind(self) -> None:
        """Have an endpoint that has expired, and a config and a model whose endpoint is gone."""
        tags = [
            {"Key": "whippet:run", "Value": "old"},
            {"Key": "whippet:expires", "Value": "2020-01-01T00:00:00+00:00"},
        ]
        variant = {"VariantName": "a", "InitialInstanceCount": 1, "InstanceType": "ml.t2.medium"}
        for name in ("old", "unused"):
            role = {"ExecutionRoleArn": "arn:aws:iam::123456789012:role/whippet-execution"}
            self.fake.create_model(ModelName=name, Tags=tags, **role)
            self.fake.create_endpoint_config(
                EndpointConfigName=name,
                ProductionVariants=[{**variant, "ModelName": name}],
                Tags=tags,
            )
        self.fake.create_endpoint(EndpointName="old", EndpointConfigName="old", Tags=tags)

    def trained_before(self) -> str:
        """Have the recorded training job, finished; return its name."""
        name = f"{self._recording.prefix}-train"
        self.fake.resources["training_job", name] = {"TrainingJobStatus": "Completed"}
        return name

    def answer(self, path: str, body: bytes, headers: dict[str, str]) -> Response:
        """Return the answer of a call."""
        if path != "/":
            return Response(
                self._recording.answers[sha256(body).hexdigest()], media_type="application/json"
            )
        service, _, operation = headers["x-amz-target"].partition(".")
        if service != "SageMaker":
            return result({"events": []})
        try:
            return self._called(operation, body)
        except ANSWERED as error:
            return failure(error)

    def _called(self, operation: str, body: bytes) -> Response:
        given = json.loads(body)
        if operation == _TRIALS:
            return self._known(operation, given["HyperParameterTuningJobName"])
        verb = "Describe" if operation.startswith("Describe") else ""
        kind = operation.removeprefix(verb)
        if verb and kind in _SNAKE and self._finished(kind, given[f"{kind}Name"]):
            return self._known(operation, given[f"{kind}Name"])
        model = service_model("sagemaker").operation_model(operation)
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
        found = getattr(self.fake, words)(**from_wire(given, model.input_shape))
        if operation == "CreateTrainingJob":
            self._finish(given["TrainingJobName"])
        return result(to_wire(found, model.output_shape) if model.output_shape else {})

    def _finished(self, kind: str, name: str) -> bool:
        # Trials are created by their tuning job.
        tuning = name.partition("-tune")[0] + "-tune"
        created = (_SNAKE[kind], name) in self.fake.resources
        return self._own(name) in {each for _, each in self._recording.jobs} and (
            created or ("hyper_parameter_tuning_job", tuning) in self.fake.resources
        )

    def _own(self, name: str) -> str:
        """Return the recorded run's name of a job of the run that asks."""
        for step in ("-tune", "-train"):
            if step in name:
                return self._recording.prefix + name[name.index(step) :]
        return name

    def _known(self, operation: str, name: str) -> Response:
        text = self._recording.jobs[operation, self._own(name)]
        return Response(
            text.replace(self._recording.prefix.encode(), _prefix(name).encode()),
            media_type="application/x-amz-json-1.1",
        )

    def _finish(self, name: str) -> None:
        self.fake.resources["training_job", name]["TrainingJobStatus"] = "Completed"
        for key, content in self._recording.objects.items():
            self._put(key.replace(self._recording.prefix, _prefix(name)), content)


def _prefix(name: str) -> str:
    return name.partition("-tune")[0].partition("-train")[0]


def keep(recording: Recording, real: str, made: Account, record: RunRecord) -> None:
    """Keep what a real run left: descriptions of its jobs, and their output archives."""
    tuning, training = record.jobs["tuning"], record.jobs["training"]
    recording.prefix = training.removesuffix("-train")
    name = {"HyperParameterTuningJobName": tuning}
    trials = _asked(real, _TRIALS, {**name, "MaxResults": 100})
    recording.jobs[_TRIALS, tuning] = trials
    recording.jobs["DescribeHyperParameterTuningJob", tuning] = _asked(
        real, "DescribeHyperParameterTuningJob", name
    )
    names = [each["TrainingJobName"] for each in json.loads(trials)["TrainingJobSummaries"]]
    for job in (*names, training):
        recording.jobs["DescribeTrainingJob", job] = _asked(
            real, "DescribeTrainingJob", {"TrainingJobName": job}
        )
    s3 = made.client("s3")
    for key in made.objects():
        if training in key and key.endswith(".tar.gz"):
            recording.objects[key] = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def roles_without_an_action(made: Account, real: str, recording: Recording) -> dict[str, str]:
    """Train under an execution role that lacks an action on the bucket; return why jobs failed."""
    found = {}
    name = f"{recording.prefix}-train"
    request = json.loads(recording.jobs["DescribeTrainingJob", name])
    members = service_model("sagemaker").operation_model("CreateTrainingJob").input_shape.members
    body = {key: value for key, value in request.items() if key in members}
    for action in ("s3:ListBucket", "s3:GetObject", "s3:PutObject"):
        made.allow_role(role_policy(without=action))
        job = f"role-without-{action.partition(':')[2]}"
        answer = _post(real, "CreateTrainingJob", {**body, "TrainingJobName": job})
        # Some is looked at before the job is accepted.
        refused = None if answer.is_success else str(answer.json()["message"])
        found[action] = " ".join((refused or _reason(real, job)).split())
    made.allow_role(role_policy())
    return found


def _reason(real: str, job: str) -> str:
    for _ in range(600):
        described = json.loads(_asked(real, "DescribeTrainingJob", {"TrainingJobName": job}))
        if described["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            break
        time.sleep(0.3)
    return f"{described['TrainingJobStatus']}: {described.get('FailureReason', '')}"


def _asked(real: str, operation: str, request: dict[str, Any]) -> bytes:
    found = _post(real, operation, request)
    found.raise_for_status()
    return found.content


def _post(real: str, operation: str, request: dict[str, Any]) -> httpx.Response:
    headers = {
        "x-amz-target": f"SageMaker.{operation}",
        "content-type": "application/x-amz-json-1.1",
    }
    return httpx.post(real, json=request, headers=headers, timeout=60, trust_env=False)
