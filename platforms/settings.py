"""Where things run and are stored: read from ``WHIPPET_*`` variables, never at import."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parents[1]
_MEMORY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
# An interpreter and its boundary.
_LEAST_MEMORY = 32 * 1024**2


def _from_project(path: Path) -> Path:
    """Resolve a relative path against the project, so that a worker's folder does not matter."""
    path = path.expanduser()
    return path if path.is_absolute() else PROJECT_ROOT / path


ProjectPath = Annotated[Path, AfterValidator(_from_project)]


def _listed(value: Any) -> Any:
    """Read ``a, b`` as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _mapped(value: Any) -> Any:
    """Read ``team=vision,cost-centre=42`` as a mapping."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in _listed(value)]
    wrong = [name for name, equals, _ in pairs if not equals or not name.strip()]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not a valid tag: write KEY=VALUE,KEY=VALUE")
    return {name.strip(): text.strip() for name, _, text in pairs}


def _server(address: str) -> str:
    """Refuse anything but a bare server address, such as one with credentials."""
    if not re.fullmatch(r"https?://[^/@\s]+/?", address):
        # Not repeated: it may hold a password.
        raise ValueError("not a bare server address: use http://HOST:PORT")
    return address


def memory_bytes(text: str) -> int:
    """Return the bytes of an amount of memory such as ``512M`` or ``8G``: powers of 1024.

    Raises:
        ValueError: it is none, or less than any interpreter needs.
    """
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a valid amount of memory: write it like 512M or 8G")
    amount = int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))
    if amount < _LEAST_MEMORY:
        raise ValueError(f"{text!r} is too little for any job: use 32M or more, such as 8G")
    return amount


def _memory(text: str) -> str:
    memory_bytes(text)
    return text.strip()


def _count(value: Any) -> Any:
    """Refuse an invalid number of processes, with a helpful message."""
    text = str(value).strip()
    if value is not None and not re.fullmatch(r"0*[1-9]\d{0,8}", text, re.ASCII):
        raise ValueError(
            f"{text!r} is not a valid number of processes: use a whole number, such as 64"
        )
    return None if value is None else int(text)


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
TagMap = Annotated[Mapping[str, str], NoDecode, BeforeValidator(_mapped)]


class Settings(BaseSettings):
    """What a platform needs to know. Every field is a ``WHIPPET_<FIELD>`` variable."""

    model_config = SettingsConfigDict(env_prefix="WHIPPET_", frozen=True, extra="forbid")

    platform: Literal["local", "aws"] = Field("local", description="Where jobs run.")
    home: ProjectPath = Field(
        Path(".whippet"),
        validate_default=True,
        description="Folder of runs and of everything the local platform stores.",
    )
    job_python: ProjectPath = Field(
        Path(".venv-job/bin/python"),
        validate_default=True,
        description="Interpreter of local jobs (the environment with torch).",
    )
    boundary: Literal["auto", "namespaces", "bubblewrap", "none"] = Field(
        "auto", description="How local jobs and model servers are isolated; docs/boundary.md."
    )
    warm_start: Literal["ours", "all", "off"] = Field(
        "ours",
        description="Local jobs that start from a process with torch: of Whippet's own programs, "
        "of all scripts, or none; docs/boundary.md.",
    )
    job_memory: Annotated[str, AfterValidator(_memory)] | None = Field(
        None, description="Memory that a local job or model server may take, such as 8G."
    )
    job_processes: Annotated[int, BeforeValidator(_count)] | None = Field(
        None, description="Processes that a local job or model server may run at once."
    )
    bucket: str | None = Field(None, description="S3 bucket; default: the platform's own.")
    s3_endpoint: Annotated[str, AfterValidator(_server)] | None = Field(
        None, description="S3 server that the local platform uses instead of folders."
    )
    prefix: str = Field("whippet", description="Key prefix of everything written to the bucket.")
    role_arn: str | None = Field(None, description="Execution role of jobs and endpoints.")
    region: str | None = Field(None, description="AWS region; default: boto3's.")
    training_image: str | None = Field(None, description="Training image URI.")
    inference_image: str | None = Field(None, description="Inference image URI.")
    pytorch_version: str = Field(
        "2.10",
        pattern=r"^\d+\.\d+(\.\d+)?$",
        description="PyTorch version of AWS's training image.",
    )
    subnets: Names = Field((), max_length=16, description="VPC of jobs and models: subnet IDs.")
    security_groups: Names = Field((), max_length=5, description="VPC: security group IDs.")
    volume_kms_key: str | None = Field(None, description="KMS key of instances' volumes.")
    output_kms_key: str | None = Field(None, description="KMS key of what jobs write to S3.")
    features_gb: float = Field(
        10.0,
        ge=0,
        allow_inf_nan=False,
        description="Gigabytes of features that stay in the bucket; docs/features.md.",
    )
    tags: TagMap = Field(
        default_factory=dict, max_length=40, description="Tags for everything that is created."
    )
    chromium: Path | None = Field(
        None,
        description="Chromium or Chrome that prints report.pdf; default: on PATH; none: no PDF.",
    )

    @model_validator(mode="after")
    def _a_vpc_is_both(self) -> Self:
        if bool(self.subnets) != bool(self.security_groups):
            raise ValueError(
                "a VPC needs both: set WHIPPET_SUBNETS and WHIPPET_SECURITY_GROUPS, or neither"
            )
        reserved = [key for key in self.tags if key.lower().startswith(("whippet:", "aws:"))]
        if reserved:
            raise ValueError(f"tag {reserved[0]!r} is reserved: choose another name for it")
        return self

    @property
    def job_limits(self) -> dict[str, str | int | None]:
        """What limits a job, as fields of these settings: for the records of the jobs."""
        return {"job_memory": self.job_memory, "job_processes": self.job_processes}

    @property
    def region_said(self) -> str | None:
        """The region that was set, for us or for AWS's tools; None leaves it to boto3's
        profiles."""
        regions = (os.environ.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION"))
        return self.region or next(filter(None, regions), None)

    @property
    def runs(self) -> Path:
        """Folder of run folders."""
        return self.home / "runs"
