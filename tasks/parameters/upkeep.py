"""Parameters of the flows that look after what runs have left: clean-up and recovery."""

from __future__ import annotations

from pydantic import Field

from tasks.parameters.resources import Parameters


class CleanUpParameters(Parameters):
    """Which endpoints to remove, with their configs and models."""

    endpoint: str | None = Field(None, description="Only this one.")
    all: bool = Field(False, description="Also those whose time to live has not passed.")
    older_than_hours: float | None = Field(None, ge=0, description="Also files here, so old.")
    dry_run: bool = Field(True, description="Only say what would be removed.")


class RecoverParameters(Parameters):
    """Which interrupted runs of deployments are resumed."""

    silent_seconds: int = Field(90, ge=60, description="No sign of life for so long: it is dead.")
    settled_seconds: int = Field(20, ge=0, description="Dead for so long, or it is left alone.")
    most_starts: int = Field(5, ge=1, le=50, description="A run that began so often stays dead.")
