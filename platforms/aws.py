"""The AWS platform: boto3's own clients, with retries, time limits and the same validation."""

from __future__ import annotations

import shlex
from importlib import import_module
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from platforms import Defaults, Platform, Pricing
from platforms.client_errors import raise_if_denied
from platforms.errors import SettingsError
from platforms.s3_stores import S3Stores, endpoint_of
from platforms.settings import Settings
from platforms.validation import validate

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


def connect_aws(settings: Settings) -> Platform:
    """Return the AWS platform of the account and region that boto3 finds.

    Asks STS who we are when no bucket is set: the default is SageMaker's own name for it.

    Raises:
        SettingsError: no credentials, region, role or image; says which variable to set.
    """
    session = _session(settings)
    region = str(session.region_name)
    role_arn = _required(settings.role_arn, "WHIPPET_ROLE_ARN", "the execution role of jobs")
    bucket = settings.bucket or f"sagemaker-{region}-{_account(session)}"
    defaults = Defaults(
        bucket=bucket,
        role_arn=role_arn,
        training_image=settings.training_image or _image("training", region),
        inference_image=settings.inference_image or _image("inference", region),
        poll_seconds=_POLL_SECONDS,
    )
    return Platform(
        settings=settings,
        sagemaker=_client(session, "sagemaker"),
        runtime=_client(session, "sagemaker-runtime"),
        logs=session.client("logs", config=_CONFIG),
        store=S3Stores(session, endpoint_of()),
        defaults=defaults,
        invoke_command=_invoke_command,
        shut_down=list,  # Nothing of it runs on this machine.
        pricing=_pricing(session, region),
        bills=True,
    )


def _pricing(session: boto3.Session, region: str) -> Pricing:
    # The price list of all regions is served in a few. Without an answer there is a table.
    config = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2})
    client = session.client("pricing", region_name=_PRICE_LIST_REGION, config=config)
    return Pricing(client=client, region=region)


def _session(settings: Settings) -> boto3.Session:
    try:
        session = boto3.Session(region_name=settings.region)
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise SettingsError(f"boto3 cannot be set up: {error}") from error
    if session.region_name is None:
        raise SettingsError("no AWS region: set WHIPPET_REGION (or AWS_REGION)")
    if credentials is None:
        raise SettingsError(
            "no AWS credentials: run `aws configure` or `aws sso login`, or use "
            "WHIPPET_PLATFORM=local, which needs no account"
        )
    session.events.register("after-call", raise_if_denied)
    return session


def _client(session: boto3.Session, service: Any) -> Any:
    client = session.client(service, config=_CONFIG)

    def check(params: dict[str, Any], model: Any, **_: Any) -> None:
        validate(model.name, params, service)

    # Before boto3's own checks, which leave out maxima, enums and patterns.
    client.meta.events.register(f"provide-client-params.{service}.*", check)
    return client


def _account(session: boto3.Session) -> str:
    try:
        account: str = session.client("sts", config=_CONFIG).get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise SettingsError(
            f"AWS does not say which account this is ({error}): check the credentials, or set "
            "WHIPPET_BUCKET"
        ) from error
    return account


def _required(value: str | None, variable: str, what: str) -> str:
    if value is None:
        raise SettingsError(f"{what} must be given on AWS: set {variable}")
    return value


def _image(scope: str, region: str) -> str:
    """Return the newest PyTorch image that the SageMaker SDK knows for ``scope``."""
    variable = f"WHIPPET_{scope.upper()}_IMAGE"
    try:
        image_uris = import_module("sagemaker.core.image_uris")
    except ImportError as error:
        raise SettingsError(
            f"the {scope} image must be given: set {variable} to its URI, or install the extra "
            "`aws`, whose SageMaker SDK knows AWS's images"
        ) from error
    # The newest that SDK 3.27 knows; AWS's PyTorch inference images ended at 2.6.
    version, python = {"training": ("2.10.0", "py313"), "inference": ("2.6.0", "py312")}[scope]
    try:
        uri: str = image_uris.retrieve(
            "pytorch",
            region,
            version=version,
            py_version=python,
            instance_type="ml.m5.xlarge",
            image_scope=scope,
        )
    except ValueError as error:
        raise SettingsError(f"no {scope} image is known ({error}): set {variable}") from error
    return uri


def _invoke_command(endpoint: str, image: str) -> str:
    """Return the AWS CLI command that sends an image file; quoted for a shell."""
    return (
        f"aws sagemaker-runtime invoke-endpoint --endpoint-name {shlex.quote(endpoint)} "
        f"--content-type image/jpeg --body {shlex.quote(f'fileb://{image}')} /dev/stdout"
    )
