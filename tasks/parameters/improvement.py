"""What people fill in to improve a run."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field, field_validator

from sm_entrypoints.contract.choices import Measure
from sm_entrypoints.contract.wire import Value
from tasks.parameters.ranges import require_known
from tasks.parameters.resources import Parameters, field_for
from tasks.parameters.values import require_values


class ImprovementParameters(Parameters):
    """Which run to improve, how, and how long to measure."""

    run: str = Field(
        "latest", min_length=1, title="Run", description="Name of the run; latest is the newest."
    )
    change: dict[str, Value] | None = field_for(
        "improvement.change", note='Such as {"optimizer": "adamw"}.'
    )
    measure: Measure = field_for("improvement.measure")
    seconds: float = field_for("improvement.seconds", ge=5, le=14_400)
    max_usd: Decimal | None = field_for("improvement.max_usd", gt=0, le=1_000_000, decimal_places=2)
    pairs: int = field_for("improvement.pairs", ge=6, le=200)

    @field_validator("change")
    @classmethod
    def _names_are_known(cls, value: dict[str, Value] | None) -> dict[str, Value] | None:
        require_known(value or {})
        require_values(value or {})
        return value
