"""Where jobs run: the seam is SageMaker's own client API. See :func:`connect`.

What a run is, and what it sends to a platform, is not known here: that is in :mod:`tasks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from platforms.instances import has_gpu
from platforms.old_files import FindOldFiles

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from platforms.settings import Settings

__all__ = [
    "Defaults",
    "InvokeCommand",
    "Logs",
    "Metrics",
    "Needs",
    "Platform",
    "Pricing",
    "RequireReady",
    "Runtime",
    "SageMaker",
    "Settings",
    "Store",
    "connect",
    "serve",
]


def __getattr__(name: str) -> Any:
    # Deferred: pydantic-settings takes a quarter of a second, and `platforms.errors` needs none.
    if name == "Settings":
        from platforms.settings import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if TYPE_CHECKING:
    # The operations of ``boto3.client("sagemaker")``: dicts in, dicts out. Errors are
    # ``botocore.exceptions.ClientError`` with SageMaker's codes on every platform.
    from mypy_boto3_sagemaker import SageMakerClient as SageMaker
else:

    class SageMaker(Protocol):
        """What a platform's ``sagemaker`` is; type checks know the operations by boto3-stubs."""


class Runtime(Protocol):
    """``boto3.client("sagemaker-runtime")``: bytes untouched, or objects in S3 (``_async``)."""

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]: ...

    def invoke_endpoint_async(self, **request: Any) -> dict[str, Any]: ...


class Logs(Protocol):
    """``boto3.client("logs")``: ``filter_log_events`` over the log group of training jobs."""

    def filter_log_events(self, **request: Any) -> dict[str, Any]: ...


class Metrics(Protocol):
    """``boto3.client("cloudwatch")``, as far as anything here needs it."""

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]: ...


class InvokeCommand(Protocol):
    """Give the shell command that sends an image file to an endpoint: ``(endpoint, image)``."""

    def __call__(self, endpoint: str, image: str) -> str: ...


class Store(Protocol):
    """Give the ``obstore`` store of a bucket: ``store(bucket)`` then ``obstore.put`` and so on."""

    def __call__(self, bucket: str) -> ObjectStore: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a request needs and the user did not specify: resolved by the platform.

    ``poll_seconds`` is the slowest pace of waiting: a compromise between the detection of a
    finished job and the service's rate limits (goal: at most 0.2 Describe calls a second).
    """

    bucket: str
    role_arn: str
    training_image: str
    inference_image: str
    poll_seconds: float
    gpu_training_image: str | None = None
    gpu_inference_image: str | None = None

    def training_image_for(self, instance_type: str) -> str:
        """Return the image of jobs on an instance type: with CUDA where there is a GPU."""
        if self.gpu_training_image is not None and has_gpu(instance_type):
            return self.gpu_training_image
        return self.training_image

    def inference_image_for(self, instance_type: str) -> str:
        """Return the image of endpoints on an instance type: with CUDA where there is a GPU."""
        if self.gpu_inference_image is not None and has_gpu(instance_type):
            return self.gpu_inference_image
        return self.inference_image


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a run will ask of an account, for a check before anything is created.

    ``quotas`` are numbers of instances by the names that AWS gives its quotas:
    ``ml.m5.xlarge for training job usage``. Without ``images`` it means the platform's own, for
    instances without a GPU.
    """

    instance_types: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    quotas: Mapping[str, int] = field(default_factory=dict)


class RequireReady(Protocol):
    """Raise ``SettingsError`` when jobs cannot run here; creates nothing, takes seconds at most.

    Returns what it could not verify and what users should know, one sentence each.
    """

    def __call__(self, needs: Needs = ...) -> list[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """``boto3.client("pricing")``, and the region whose prices are wanted."""

    client: Any
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A place where SageMaker requests run. Holds clients: build it inside a task, never pass it.

    ``shut_down`` stops what the platform runs on this machine and returns its names; everything it
    stops can be requested again, and it never touches an AWS account. ``prepare`` creates what the
    platform may create by itself before the first upload: its own bucket. ``expect_jobs`` tells it
    that jobs follow soon, so that it may make ready what they share; returns within a second or so.
    ``lost_endpoints`` names the endpoints whose processes are gone with nothing known against their
    models, and ``revive`` deploys one of them again (False: it no longer is lost).
    ``old_files`` finds what can be removed from this machine's disk. ``pricing`` is
    AWS's price list, if there is an account to query it with. ``bills`` says whether requests here
    cost money. ``metrics`` is ``boto3.client("cloudwatch")``: what knows how often an endpoint was
    asked. ``scaling`` is ``boto3.client("application-autoscaling")`` where
    endpoints can have more than one instance.
    """

    settings: Settings
    sagemaker: SageMaker
    runtime: Runtime
    logs: Logs
    store: Store
    defaults: Defaults
    invoke_command: InvokeCommand
    shut_down: Callable[[], list[str]]
    require_ready: RequireReady = lambda needs=Needs(): []
    prepare: Callable[[], None] = lambda: None
    expect_jobs: Callable[[], object] = lambda: None
    lost_endpoints: Callable[[], list[str]] = list
    revive: Callable[[str], bool] = lambda name: False
    old_files: FindOldFiles = lambda age, needed: []
    pricing: Pricing | None = None
    bills: bool = False
    scaling: Any = None
    metrics: Metrics | None = None


def connect(settings: Settings | None = None) -> Platform:
    """Return the platform that ``settings`` name (default: from the environment).

    Raises:
        SettingsError: the platform cannot be used with these settings; says what to do.

    Example:
        >>> from platforms import Settings, connect
        >>> platform = connect(Settings(platform="local"))
        >>> platform.sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]
        []
        >>> platform.defaults.bucket
        'whippet-local'
    """
    from platforms.privacy import close_home
    from platforms.settings import Settings

    settings = settings or Settings()
    close_home(settings.home)
    # Deferred: boto3 is slow to import, and a platform that is not chosen must cost nothing.
    if settings.platform == "aws":
        from platforms.aws.clients import connect_aws

        return connect_aws(settings)
    from platforms.local.connection import connect_local

    return connect_local(settings)


def serve(settings: Settings, port: int, announce: Callable[[str], None]) -> None:
    """Serve the local platform's API over HTTP on 127.0.0.1 until the process is stopped.

    ``port`` 0 takes any free one; ``announce`` is called with the URL.

    Raises:
        SettingsError: the port is taken.
    """
    from platforms.local.api.server import serve_api

    serve_api(settings, port, announce)
