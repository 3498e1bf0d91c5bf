"""Wire up the local platform: SageMaker's API over folders and processes of this machine."""

from __future__ import annotations

import mimetypes
import shlex
from contextlib import suppress
from functools import partial
from typing import cast

from platforms import Defaults, Needs, Platform, SageMaker
from platforms.errors import WhippetError
from platforms.job_environment import require_job_python
from platforms.local.client import LocalSageMaker
from platforms.local.cloudwatch.operations import LocalCloudWatch
from platforms.local.context import ACCOUNT, LocalContext, local_context
from platforms.local.disk.find import find_old_files
from platforms.local.hosting.endpoints import local_url
from platforms.local.hosting.kinds import hosted_kind
from platforms.local.hosting.reviving import lost_endpoints, revive_endpoint
from platforms.local.hosting.runtime import LocalRuntime
from platforms.local.hosting.settling import settle_endpoint
from platforms.local.job_logs.operations import LocalLogs
from platforms.local.shutdown import shut_down
from platforms.loopback import curl_options
from platforms.settings import Settings

_BUCKET = "whippet-local"
# A describe reads one small file: seeing the end of a job early is worth more.
_POLL_SECONDS = 0.3
_ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/whippet-local"
# Names only: what platforms/local/image.txt describes is the job environment.
_TRAINING_IMAGE = "whippet-local/pytorch-training:2.14-cpu"
_INFERENCE_IMAGE = "whippet-local/pytorch-inference:2.14-cpu"

_ANYTHING = Needs()


def connect_local(settings: Settings) -> Platform:
    """Return the local platform; cheap, writes nothing, starts nothing."""
    context = local_context(settings)
    sagemaker = LocalSageMaker(context)
    return Platform(
        settings=settings,
        # It honours some of the client's operations, and names them when it is asked another.
        sagemaker=cast(SageMaker, sagemaker),
        runtime=LocalRuntime(context),
        logs=LocalLogs(context=context),
        store=context.buckets,
        metrics=LocalCloudWatch(context=context),
        defaults=Defaults(
            bucket=settings.bucket or _BUCKET,
            role_arn=settings.role_arn or _ROLE_ARN,
            training_image=settings.training_image or _TRAINING_IMAGE,
            inference_image=settings.inference_image or _INFERENCE_IMAGE,
            poll_seconds=_POLL_SECONDS,
        ),
        invoke_command=partial(_curl, context),
        shut_down=partial(shut_down, sagemaker, context.home),
        require_ready=partial(_require_ready, context),
        expect_jobs=partial(_expect_jobs, context),
        lost_endpoints=partial(lost_endpoints, context),
        revive=partial(revive_endpoint, context),
        old_files=partial(find_old_files, context),
    )


def _require_ready(context: LocalContext, needs: Needs = _ANYTHING) -> list[str]:
    # One machine stands for every instance type: only the interpreter of jobs can be missing.
    require_job_python(context.settings.job_python)
    return []


def _expect_jobs(context: LocalContext) -> None:
    """Import what jobs import; if that cannot be done, they will say why, or do it themselves."""
    # Deferred: jobs that were started earlier need it no more.
    from platforms.local.training.warm_copy import start_copy

    with suppress(WhippetError, OSError):
        start_copy(context)


def _curl(context: LocalContext, endpoint: str, image: str) -> str:
    """Return the command that sends an image file to an endpoint; quoted for a shell."""
    if not hosted_kind(settle_endpoint(context, "DescribeEndpoint", endpoint)).keeps_server:
        # Its server has no address while nobody asks.
        return f"whippet predict --endpoint {shlex.quote(endpoint)} {shlex.quote(image)}"
    kind = mimetypes.guess_type(image)[0] or "application/octet-stream"
    url = local_url(context, endpoint)
    file = shlex.quote(f"@{image}")
    options = f"{curl_options()}-X POST -H 'Content-Type: {kind}'"
    return f"curl -sS {options} --data-binary {file} {url}"
