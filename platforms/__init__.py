"""Where jobs run: one seam, SageMaker's own client API. See :func:`connect`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from platforms.settings import Settings

__all__ = ["Defaults", "Platform", "Runtime", "SageMaker", "Settings", "Store", "connect"]


class SageMaker(Protocol):
    """The operations of ``boto3.client("sagemaker")`` that Whippet uses: dicts in, dicts out.

    Errors are ``botocore.exceptions.ClientError`` with SageMaker's codes on every platform.
    """

    def __getattr__(self, operation: str) -> Any: ...


class Runtime(Protocol):
    """``boto3.client("sagemaker-runtime")``: ``invoke_endpoint`` with bytes untouched."""

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]: ...


class Logs(Protocol):
    """``boto3.client("logs")``: ``filter_log_events`` over the log group of training jobs."""

    def filter_log_events(self, **request: Any) -> dict[str, Any]: ...


class Store(Protocol):
    """Give the ``obstore`` store of a bucket: ``store(bucket)`` then ``obstore.put`` and so on."""

    def __call__(self, bucket: str) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a request needs and the user did not say: resolved by the platform."""

    bucket: str
    role_arn: str
    training_image: str
    inference_image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A place where SageMaker requests run. Holds clients: build it inside a task, never pass it."""

    settings: Settings
    sagemaker: SageMaker
    runtime: Runtime
    logs: Logs
    store: Store
    defaults: Defaults


def connect(settings: Settings | None = None) -> Platform:
    """Return the platform that ``settings`` name (default: from the environment).

    Raises:
        SettingsError: the platform cannot be used as set up; says what to do.
    """
    settings = settings or Settings()
    # Deferred: boto3 is slow to import, and a platform that is not chosen must cost nothing.
    if settings.platform == "aws":
        from platforms.aws import connect_aws

        return connect_aws(settings)
    from platforms.local.platform import connect_local

    return connect_local(settings)
