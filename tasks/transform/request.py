"""The request of a batch transform job, and its worst-case cost. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from platforms import Platform
from platforms.errors import ParameterError
from platforms.sagemaker_requests import (
    TransformInstanceType,
    TransformOutput,
    TransformRequest,
    TransformResources,
)
from tasks.costs.cap import BudgetError
from tasks.costs.prices import current_prices
from tasks.costs.worst_case import cents
from tasks.requests.identity import with_tags
from tasks.requests.placement import placement_of
from tasks.requests.training import run_tags
from tasks.runs.names import RunIdentity, resource_name
from tasks.transform.parameters import TransformParameters
from tasks.transform.pictures import MOST_MEGABYTES, Pictures


def folder_uri(platform: Platform, pictures: Pictures) -> str:
    """Return the prefix that belongs to exactly these pictures."""
    root = f"s3://{platform.defaults.bucket}/{platform.settings.prefix}"
    return f"{root}/transform/{pictures.digest[:16]}"


def output_uri(platform: Platform, pictures: Pictures, job: str) -> str:
    """Return the prefix below which a job writes its answers."""
    return f"{folder_uri(platform, pictures)}/{job}"


def transform_job_request(
    platform: Platform,
    run: RunIdentity,
    pictures: Pictures,
    parameters: TransformParameters,
    attempt: int = 1,
) -> TransformRequest:
    """Return the body of CreateTransformJob: each picture is one request, each answer JSON."""
    name = resource_name(run, "transform", attempt)
    keys = placement_of(platform.settings)
    output: TransformOutput = {
        "S3OutputPath": output_uri(platform, pictures, name),
        "Accept": "application/json",
    }
    resources: TransformResources = {
        "InstanceType": cast(TransformInstanceType, parameters.instance_type),
        "InstanceCount": 1,
    }
    if keys.output_kms_key:
        output["KmsKeyId"] = keys.output_kms_key
    if keys.volume_kms_key:
        resources["VolumeKmsKeyId"] = keys.volume_kms_key
    request: TransformRequest = {
        "TransformJobName": name,
        "ModelName": resource_name(run, "model"),
        "MaxPayloadInMB": pictures.megabytes,
        # The service refuses a product above this.
        "MaxConcurrentTransforms": min(
            parameters.max_concurrency, MOST_MEGABYTES // pictures.megabytes
        ),
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"{folder_uri(platform, pictures)}/in/",
                }
            },
            "ContentType": pictures.content_type,
            "SplitType": "None",
            "CompressionType": "None",
        },
        "TransformOutput": output,
        "TransformResources": resources,
    }
    return with_tags(request, run_tags(run, platform.settings.tags))


def require_within_budget(platform: Platform, parameters: TransformParameters) -> Decimal | None:
    """Return the job's maximum cost, None if unknown.

    By the price of hosting, which a transform instance's price equals in AWS's list.

    Raises:
        BudgetError: it could cost more than ``max_usd`` within ``max_seconds``.
        ParameterError: there is a cap, and a price that nobody knows.
    """
    instance = parameters.instance_type
    price = current_prices(platform.pricing, [(instance, "hosting")]).per_hour(instance, "hosting")
    worst = None if price is None else price.usd * parameters.max_seconds / 3600
    if parameters.max_usd is None:
        return worst
    if worst is None:
        raise ParameterError(
            f"max_usd={parameters.max_usd} cannot be guaranteed: the price of {instance} is not "
            "known. Use another instance type, or leave out the cap"
        )
    if worst > parameters.max_usd:
        raise BudgetError(
            f"max_usd={parameters.max_usd} is too small: {parameters.max_seconds} s on {instance} "
            f"cost up to {cents(worst)} USD. Lower max_seconds, or use a smaller instance"
        )
    return worst
