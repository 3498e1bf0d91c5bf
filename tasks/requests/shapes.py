"""Tell requests and descriptions apart by their members, and find the parts of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from platforms.sagemaker_requests import (
    EndpointConfigRequest,
    TrainingRequest,
    TrialDefinition,
    TuningRequest,
)
from platforms.sagemaker_types import DescribedTrials, EndpointConfig, TrainingJob, TuningJob

if TYPE_CHECKING:
    from typing_extensions import TypeIs

# What is asked for, or described as SageMaker answers.
AnyTuning = TuningRequest | TuningJob
AnyTraining = TrainingRequest | TrainingJob
AnyTrials = TrialDefinition | DescribedTrials
AnyJob = AnyTuning | AnyTraining
AnyEndpointConfig = EndpointConfigRequest | EndpointConfig
_OF_TUNING = {
    "HyperParameterTuningJobConfig",
    "TrainingJobDefinition",
    "TrainingJobDefinitions",
}
_OF_TRAINING = {"AlgorithmSpecification", "ResourceConfig"}


def is_tuning(request: Mapping[str, object]) -> TypeIs[AnyTuning]:
    """Say whether it is a tuning job's."""
    return not _OF_TUNING.isdisjoint(request)


def is_training(request: Mapping[str, object]) -> TypeIs[AnyTraining]:
    """Say whether it is a training job's."""
    return not is_tuning(request) and not _OF_TRAINING.isdisjoint(request)


def is_job(request: Mapping[str, object]) -> TypeIs[AnyJob]:
    """Say whether it is a tuning or training job's."""
    return is_tuning(request) or is_training(request)


def is_endpoint_config(request: Mapping[str, object]) -> TypeIs[AnyEndpointConfig]:
    """Say whether it is an endpoint config's."""
    return "ProductionVariants" in request


def job_definition(request: AnyJob) -> AnyTraining | AnyTrials:
    """Return the part that sizes a job: that of its trials, or the training job's own."""
    return request["TrainingJobDefinition"] if is_tuning(request) else request
