"""Where things run and lie: read from ``WHIPPET_*`` environment variables, never at import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parents[1]


def _from_project(path: Path) -> Path:
    """Resolve a relative path against the project, so that a worker's folder does not matter."""
    path = path.expanduser()
    return path if path.is_absolute() else PROJECT_ROOT / path


ProjectPath = Annotated[Path, AfterValidator(_from_project)]


class Settings(BaseSettings):
    """What a platform needs to know. Every field is a ``WHIPPET_<FIELD>`` variable."""

    model_config = SettingsConfigDict(env_prefix="WHIPPET_", frozen=True, extra="forbid")

    platform: Literal["local", "aws"] = Field("local", description="Where jobs run.")
    home: ProjectPath = Field(
        Path(".whippet"),
        validate_default=True,
        description="Folder of runs and of everything the local platform keeps.",
    )
    job_python: ProjectPath = Field(
        Path(".venv-job/bin/python"),
        validate_default=True,
        description="Interpreter of local jobs (the environment with torch).",
    )
    bucket: str | None = Field(None, description="S3 bucket; default: the platform's own.")
    s3_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/@\s]+/?$",
        description="S3 server that the local platform uses instead of folders.",
    )
    prefix: str = Field("whippet", description="Key prefix of everything written to the bucket.")
    role_arn: str | None = Field(None, description="Execution role of jobs and endpoints.")
    region: str | None = Field(None, description="AWS region; default: boto3's.")
    training_image: str | None = Field(None, description="Training image URI.")
    inference_image: str | None = Field(None, description="Inference image URI.")

    chromium: Path | None = Field(
        None,
        description="Chromium or Chrome that prints report.pdf; default: on PATH; none: no PDF.",
    )

    @property
    def runs(self) -> Path:
        """Folder of run folders."""
        return self.home / "runs"
