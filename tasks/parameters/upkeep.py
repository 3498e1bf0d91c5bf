"""Parameters of the flows that look after what runs have left: clean-up and recovery."""

from __future__ import annotations

from pydantic import Field

from tasks.parameters.resources import Parameters


class CleanUpParameters(Parameters):
    """Which endpoints to remove, with their configs and models."""

    endpoint: str | None = Field(
        None, title="Endpoint", description="Only this one; empty: whatever no run needs."
    )
    all: bool = Field(
        False, title="Live ones, too", description="Also those whose time to live has not passed."
    )
    idle_hours: float | None = Field(
        None,
        gt=0,
        title="Idle for (hours)",
        description="Also endpoints that nobody has asked for so long; empty: none.",
    )
    older_than_hours: float | None = Field(
        None,
        ge=0,
        title="Files older than (hours)",
        description="Also files of this machine that are so old; empty: none.",
    )
    dry_run: bool = Field(True, title="Dry run", description="Only say what would be removed.")


class RecoverParameters(Parameters):
    """Which interrupted runs of deployments are resumed."""

    run: str | None = Field(
        None, title="Run", description="Only this one, by the name of its folder; empty: all."
    )
    silent_seconds: int = Field(
        90, ge=60, title="Silence (seconds)", description="No sign of life for so long: it is dead."
    )
    settled_seconds: int = Field(
        20,
        ge=0,
        title="Settling time (seconds)",
        description="Dead for so long, or it is left alone.",
    )
    most_starts: int = Field(
        5, ge=1, le=50, title="Most starts", description="A run that began so often stays dead."
    )
