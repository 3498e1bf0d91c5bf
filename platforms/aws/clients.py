"""The AWS platform: boto3's own clients, with retries, time limits and the same validation."""

from __future__ import annotations

import shlex
from functools import partial
from typing import Any

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from platforms import Defaults, Platform, Pricing
from platforms.aws.account import caller, default_bucket, ensure_bucket
from platforms.aws.image_table import Scope
from platforms.aws.images import image_uri
from platforms.aws.readiness import Readiness
from platforms.client_errors import raise_if_denied
from platforms.errors import SettingsError
from platforms.s3_stores import S3Stores, endpoint_of
from platforms.settings import Settings
from platforms.validation import validate
from sm_entrypoints.contract.kill_points import reach
from sm_entrypoints.contract.sentences import did_you_mean, nearest

# Describe calls are limited per account and region; a tuning job and its trials share them.
_POLL_SECONDS = 5.0
_PRICE_LIST_REGION = "us-east-1"
_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 10},
    connect_timeout=10,
    # An endpoint answers within 60 seconds.
    read_timeout=70,
    user_agent_extra="whippet",
)
# Of what is good to know: nobody waits long for it.
_BRIEF = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2})
# Stand for all instances without and with a GPU: an image is one or the other.
_CPU, _GPU = "ml.m5.xlarge", "ml.g4dn.xlarge"
# AWS's last image that serves by SageMaker's contract.
_INFERENCE_VERSION = "2.6"


def connect_aws(settings: Settings) -> Platform:
    """Return the AWS platform of the account and region that boto3 finds.

    Asks STS who we are when no bucket is set: the default is SageMaker's own name for it.

    Raises:
        SettingsError: no credentials, region, role or image; says which variable to set.
    """
    session = _session(settings)
    region = str(session.region_name)
    defaults = _defaults(settings, session, region)
    return Platform(
        settings=settings,
        sagemaker=_client(session, "sagemaker"),
        runtime=_client(session, "sagemaker-runtime"),
        logs=session.client("logs", config=_CONFIG),
        store=S3Stores(session, endpoint_of()),
        defaults=defaults,
        invoke_command=_invoke_command,
        shut_down=list,  # Nothing of it runs on this machine.
        require_ready=Readiness(session=session, defaults=defaults, prefix=settings.prefix),
        prepare=partial(_prepare, session, defaults.bucket),
        pricing=_pricing(session, region),
        bills=True,
        scaling=_client(session, "application-autoscaling"),
        metrics=session.client("cloudwatch", config=_BRIEF),
    )


def _defaults(settings: Settings, session: boto3.Session, region: str) -> Defaults:
    role_arn = _required(settings.role_arn, "WHIPPET_ROLE_ARN", "the execution role of jobs")
    version = settings.pytorch_version
    training, gpu_training = _images("training", settings.training_image, region, version)
    inference, gpu_inference = _images(
        "inference", settings.inference_image, region, _INFERENCE_VERSION
    )
    return Defaults(
        bucket=settings.bucket or default_bucket(region, caller(session, _CONFIG).account),
        role_arn=role_arn,
        training_image=training,
        gpu_training_image=gpu_training,
        inference_image=inference,
        gpu_inference_image=gpu_inference,
        poll_seconds=_POLL_SECONDS,
    )


def _images(scope: Scope, chosen: str | None, region: str, version: str) -> tuple[str, str]:
    """Return the images without and with a GPU; one that was chosen is for both."""
    if chosen is not None:
        return chosen, chosen
    return image_uri(scope, region, version, _CPU), image_uri(scope, region, version, _GPU)


def _prepare(session: boto3.Session, bucket: str) -> None:
    account = caller(session, _CONFIG).account
    ensure_bucket(session.client("s3", config=_CONFIG), bucket, account)


def _pricing(session: boto3.Session, region: str) -> Pricing:
    # The price list of all regions is served in a few. Without an answer there is a table.
    client = session.client("pricing", region_name=_PRICE_LIST_REGION, config=_BRIEF)
    return Pricing(client=client, region=region)


def _session(settings: Settings) -> boto3.Session:
    try:
        session = boto3.Session(region_name=settings.region_said)
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise SettingsError(f"boto3 cannot be set up: {error}") from error
    _require_region(session)
    if credentials is None:
        raise SettingsError(
            "no AWS credentials: run `aws configure` or `aws sso login`, or use "
            "WHIPPET_PLATFORM=local, which needs no account"
        )
    session.events.register("before-call", _asked)
    session.events.register("after-call", _answered)
    session.events.register("after-call", raise_if_denied)
    return session


def _asked(model: Any, **_: Any) -> None:
    reach(f"{xform_name(model.name)} asked")


def _answered(model: Any, **_: Any) -> None:
    reach(f"{xform_name(model.name)} answered")


def _require_region(session: boto3.Session) -> None:
    region = session.region_name
    if region is None:
        raise SettingsError("no AWS region: set WHIPPET_REGION, or AWS_REGION")
    regions = [
        each
        for partition in session.get_available_partitions()
        for each in session.get_available_regions("sagemaker", partition)
    ]
    if region not in regions:
        hint = did_you_mean(nearest(region, regions, most=3), str) or f"such as {regions[0]}"
        raise SettingsError(
            f"WHIPPET_REGION={region!r} is not a SageMaker region that boto3 {boto3.__version__} "
            f"knows: {hint}"
        )


def _client(session: boto3.Session, service: Any) -> Any:
    client = session.client(service, config=_CONFIG)

    def check(params: dict[str, Any], model: Any, **_: Any) -> None:
        validate(model.name, params, service)

    # Before boto3's own checks, which leave out maxima, enums and patterns.
    client.meta.events.register(f"provide-client-params.{service}.*", check)
    return client


def _required(value: str | None, variable: str, what: str) -> str:
    if value is None:
        raise SettingsError(f"{what} must be set on AWS: set {variable}")
    return value


def _invoke_command(endpoint: str, image: str) -> str:
    """Return the AWS CLI command that sends an image file; quoted for a shell."""
    return (
        f"aws sagemaker-runtime invoke-endpoint --endpoint-name {shlex.quote(endpoint)} "
        f"--content-type image/jpeg --body {shlex.quote(f'fileb://{image}')} /dev/stdout"
    )
