"""What every local resource needs: the settings, the records, the buckets, and its ARN."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platforms.local.boundary.mechanism import Mechanism, choose
from platforms.local.boundary.network import network_variables
from platforms.local.buckets.buckets import Buckets
from platforms.local.buckets.folders import FolderBuckets
from platforms.local.records import Records
from platforms.processes.environment import allowed_environment
from platforms.settings import PROJECT_ROOT, Settings
from sm_entrypoints.contract.kill_points import VARIABLE as KILL_POINTS

ACCOUNT = "000000000000"
REGION = "local"

# One logger for everything the local platform wants a person to know.
LOGGER = logging.getLogger("platforms.local")

# What boto3 finds credentials and region by: for supervisors that use a server of S3, no one else.
S3_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CA_BUNDLE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalContext:
    """Shared by all local resources; immutable, cheap to build, safe between threads."""

    settings: Settings
    records: Records

    @property
    def home(self) -> Path:
        """Root of everything the local platform keeps."""
        return self.settings.home

    @property
    def buckets(self) -> Buckets:
        """The buckets: folders, or those of the S3 server that the settings name."""
        if self.settings.s3_endpoint is None:
            return FolderBuckets(root=self.home / "s3")
        # Deferred: boto3 finds the credentials, and folders must not pay for its import.
        from platforms.local.buckets.s3 import s3_buckets

        return s3_buckets(self.settings.s3_endpoint, self.region)

    def boundary(self) -> Mechanism:
        """Return how jobs and model servers are closed in: tried out, once a process.

        Raises:
            SettingsError: the one that the settings name does not work here.
        """
        return choose(self.settings.boundary, self.home)

    @property
    def region(self) -> str:
        """The region in ARNs and in a job's ``AWS_REGION``."""
        return self.settings.region or REGION

    def arn(self, resource: str, name: str) -> str:
        """Return the ARN of a resource: ``arn("training-job", name)``."""
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT}:{resource}/{name}"

    def to_record(self) -> dict[str, Any]:
        """Return, as JSON values, what the supervisor of a job takes over from its creator."""
        return {
            "JobPython": str(self.settings.job_python),
            "Boundary": self.boundary().name,
            "Limits": self.settings.job_limits,
            "WarmStart": self.settings.warm_start,
            "Region": self.region,
            "S3Endpoint": self.settings.s3_endpoint,
        }


def local_context(settings: Settings) -> LocalContext:
    """Return the context of ``settings``; writes nothing."""
    return LocalContext(settings=settings, records=Records(settings.home))


def recorded_context(home: Path, created: Mapping[str, Any]) -> LocalContext:
    """Return the context that :meth:`LocalContext.to_record` described, also of an older record."""
    settings = Settings(
        home=home,
        job_python=Path(created["JobPython"]),
        boundary=created.get("Boundary", "none"),
        warm_start=created.get("WarmStart", "off"),
        region=created["Region"],
        s3_endpoint=created.get("S3Endpoint"),
        **created.get("Limits", {}),
    )
    return local_context(settings)


def supervisor_environment(
    environment: Mapping[str, str], *, s3_endpoint: str | None = None
) -> dict[str, str]:
    """Return the environment of a supervisor: the allowed part, and the project to import.

    Proxies, certificates and pip's variables are for the jobs and model servers that it starts.
    One that reads and writes a server of S3 also gets what boto3 finds credentials by; the jobs
    and model servers that it starts never do.
    """
    names = S3_VARIABLES if s3_endpoint is not None else ()
    return {
        **network_variables(environment),
        **allowed_environment(environment, KILL_POINTS),
        **{name: environment[name] for name in names if name in environment},
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONUNBUFFERED": "1",
    }
