"""Which change to measure on which run, and the request that measures it. No Prefect here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ConfigDict, JsonValue

from platforms import Settings
from platforms.errors import ParameterError
from platforms.files import read_json
from platforms.sagemaker_requests import RequestedResources, TrainingRequest
from platforms.sagemaker_types import ResourceConfig, TrainingJob
from sm_entrypoints import contract
from sm_entrypoints.contract.choices import Measure
from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.contract.wire import Value, from_wire
from tasks.improve.documents import Gain, TrainingSummary, Verdict
from tasks.parameters.improvement import ImprovementParameters
from tasks.parameters.ranges import require_known
from tasks.requests.identity import with_members, with_tags
from tasks.runs.names import QUESTION_LENGTH, RunIdentity, folder_name, resource_name
from tasks.runs.record import read_run, run_folder
from tasks.runs.record_model import RunRecord

_OUTPUT_FOLDER = "training"
# What the comparison takes over from the training job as it is. Not its checkpoints, its
# instrumentation, and what makes it cheaper but slower to start (spot, warm pools).
_SAME_MEMBERS = (
    "InputDataConfig",
    "Environment",
    "VpcConfig",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
)


class ImprovementPlan(BaseModel):
    """A run, the job that it trained its model with, and the change to measure.

    ``change`` is empty when the verdict has nothing to change; ``sentence`` is the verdict's.
    ``stage_seconds`` is where the job's time went, by stage; empty when it did not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    token: str
    flow_run_id: str
    training_job: str
    change: dict[str, Value]
    sentence: str
    expected_gain: dict[str, JsonValue]
    measure: Measure
    seconds: float
    pairs: int
    max_usd: Decimal | None = None
    epochs_run: int | None
    cached_features: bool | None
    stage_seconds: dict[str, float] = {}

    @property
    def run(self) -> RunIdentity:
        """The run's identity."""
        return RunIdentity(name=self.name, token=self.token, flow_run_id=self.flow_run_id)

    def job_name(self, source_uri: str, attempt: int = 1) -> str:
        """Return the name of the comparison job: another one for another question or code."""
        asked = [self.change, self.measure, self.seconds, self.pairs, source_uri]
        digest = sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:QUESTION_LENGTH]
        return resource_name(self.run, "improve", attempt, question=digest)


def plan_improvement(settings: Settings, parameters: ImprovementParameters) -> ImprovementPlan:
    """Return what to measure on the run; writes nothing, calls no platform.

    Raises:
        ParameterError: there is no such run, it trained no model, or it has no verdict and no
            change was given.
    """
    run_record = _record(settings, parameters.run)
    run = run_record.identity
    folder = run_folder(settings, run.name) / _OUTPUT_FOLDER
    job = run_record.jobs.get("training")
    if not job:
        raise ParameterError(
            f"run {run.name!r} has no training job to improve: resume it with `whippet run "
            f"--resume {shlex.quote(run.name)}`"
        )
    instrumentation = folder / contract.INSTRUMENTATION_FOLDER
    verdict = cast("Verdict | None", _document(instrumentation, contract.VERDICT_FILE))
    if verdict is None and parameters.change is None:
        raise ParameterError(
            f"run {run.name!r} has no verdict: its training was not instrumented, or is not "
            "finished; give the change with --change NAME=VALUE"
        )
    training = cast(TrainingSummary, _document(folder, contract.TRAINING_SUMMARY_FILE) or {})
    change, expected, measure = _question(verdict or {}, parameters)
    epochs, cached = _what_ran(training, change, measure)
    return ImprovementPlan(
        name=run.name,
        token=run.token,
        flow_run_id=run.flow_run_id,
        training_job=job,
        change=change,
        sentence=str((verdict or {}).get("sentence", "")),
        expected_gain=expected,
        measure=measure,
        seconds=parameters.seconds,
        pairs=parameters.pairs,
        max_usd=parameters.max_usd,
        epochs_run=epochs,
        cached_features=cached,
        stage_seconds=_stage_seconds(training),
    )


def _what_ran(
    training: TrainingSummary, change: dict[str, Value], measure: Measure
) -> tuple[int | None, bool | None]:
    """Return the epochs to count a change's seconds for, and whether they ran on features.

    Of a training that ran its whole network first and the head on its features later, the
    epochs of the whole network: they are what a change of speed is about.
    """
    whole = (training.get("features_from_epoch") or 1) - 1
    by_loss = any(contract.HYPERPARAMETERS[name].judged_by == "loss" for name in change)
    if whole and (measure == "speed" or (measure == "auto" and not by_loss)):
        return whole, False
    return training.get("epochs_run") or None, training.get("cached_features")


def _stage_seconds(training: TrainingSummary) -> dict[str, float]:
    told = training.get("seconds")
    parts = told.items() if isinstance(told, Mapping) else ()
    return {name: value for name, value in parts if isinstance(value, int | float)}


def _record(settings: Settings, name: str) -> RunRecord:
    try:
        return read_run(settings, folder_name(name) if name != "latest" else name)
    except FileNotFoundError as error:
        raise ParameterError(f"there is no run {name!r} in {settings.runs}") from error


def _document(folder: Path, name: str) -> dict[str, JsonValue] | None:
    path = folder / name
    if not path.is_file():
        return None
    try:
        found = read_json(path)
    except ValueError as error:
        raise ParameterError(
            f"{path} cannot be read: {clause(error)}; run the training again"
        ) from error
    if not isinstance(found, dict):
        raise ParameterError(f"{path} is not a JSON object: run the training again")
    return found


def _question(
    verdict: Verdict, parameters: ImprovementParameters
) -> tuple[dict[str, Value], Gain, Measure]:
    """Return the change, what is expected of it, and what to measure."""
    proposed = verdict.get("change") or {}
    own = parameters.change is not None and parameters.change != proposed
    change = parameters.change if parameters.change is not None else proposed
    try:
        require_known(change)
    except ValueError as error:
        raise ParameterError(f"the verdict's change {change}: {error}") from error
    expected: Gain = {} if own else verdict.get("expected_gain") or {}
    measure = parameters.measure
    kind = expected.get("kind")
    if measure == "auto" and (kind == "speed" or kind == "quality"):
        measure = kind
    return change, expected, measure


def comparison_request(
    plan: ImprovementPlan,
    job: TrainingJob,
    source_uri: str,
    tags: Mapping[str, str],
    attempt: int = 1,
) -> TrainingRequest:
    """Return the body of CreateTrainingJob that compares ``job`` with its changed self.

    Args:
        plan: the question.
        job: the described training job of the run.
        source_uri: the source archive with the entry points.
        tags: tags of the new job.
        attempt: 2 and later follow a failed one.
    """
    algorithm = job["AlgorithmSpecification"]
    request: TrainingRequest = {
        "TrainingJobName": plan.job_name(source_uri, attempt),
        "AlgorithmSpecification": {
            "TrainingImage": algorithm["TrainingImage"],
            "TrainingInputMode": algorithm["TrainingInputMode"],
            "MetricDefinitions": contract.metric_definitions(contract.COMPARISON_METRICS),
        },
        "HyperParameters": _hyperparameters(plan, job, source_uri),
        "RoleArn": job["RoleArn"],
        "OutputDataConfig": job["OutputDataConfig"],
        "ResourceConfig": _one_instance(job["ResourceConfig"]),
        "StoppingCondition": {
            "MaxRuntimeInSeconds": job["StoppingCondition"]["MaxRuntimeInSeconds"]
        },
        "ProfilerConfig": {"DisableProfiler": True},
    }
    same = {member: value for member, value in job.items() if member in _SAME_MEMBERS and value}
    return with_tags(with_members(request, **same), tags)


def _one_instance(resources: ResourceConfig) -> RequestedResources:
    """Both variants run in one process; what many instances would gain is not measured."""
    kept = ("InstanceType", "VolumeSizeInGB", "VolumeKmsKeyId")
    same = {member: value for member, value in resources.items() if member in kept}
    one: RequestedResources = {"InstanceCount": 1}
    return with_members(one, **same)


def _hyperparameters(plan: ImprovementPlan, job: TrainingJob, source_uri: str) -> dict[str, str]:
    given = job.get("HyperParameters", {})
    own = {name: text for name, text in given.items() if name in from_wire(given)}
    values = {
        **own,
        # JSON in JSON: the toolkit decodes once, and a dict would reach argv in Python's spelling.
        "change": json.dumps(json.dumps(plan.change)),
        "measure": plan.measure,
        "seconds": json.dumps(plan.seconds),
        "pairs": json.dumps(plan.pairs),
        "sagemaker_program": contract.COMPARE_PROGRAM,
        "sagemaker_submit_directory": source_uri,
    }
    if plan.epochs_run is not None:
        values["job_epochs"] = json.dumps(plan.epochs_run)
    if plan.cached_features is not None:
        values["cached"] = json.dumps(plan.cached_features)
    return values
