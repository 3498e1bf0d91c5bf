"""What people fill in to improve a run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, field_validator

from tasks.parameters.options import described
from tasks.parameters.ranges import Value, require_known
from tasks.parameters.run import Parameters
from tasks.parameters.values import require_values


class ImprovementParameters(Parameters):
    """Which run to improve, how, and how long to measure."""

    run: str = Field("latest", min_length=1, description="Name of the run; latest is one.")
    change: dict[str, Value] | None = Field(None, description=described("improvement.change"))
    measure: Literal["auto", "speed", "quality"] = Field(
        "auto",
        description=described("improvement.measure"),
    )
    seconds: float = Field(120, ge=5, le=14_400, description=described("improvement.seconds"))
    max_usd: Decimal | None = Field(
        None,
        gt=0,
        le=1_000_000,
        decimal_places=2,
        description=described("improvement.max_usd"),
    )
    pairs: int = Field(6, ge=6, le=200, description=described("improvement.pairs"))

    @field_validator("change")
    @classmethod
    def _names_are_known(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        require_known(value or {})
        require_values(value or {})
        return value
