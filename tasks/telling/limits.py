"""The amounts beyond which people are told: ``limits`` in ``automations.yaml``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

# The name of Prefect's variable that holds them: runs may be on another machine than the file.
LIMITS_VARIABLE = "whippet_limits"


class Limits(BaseModel):
    """Amounts that are worth a message.

    Attributes:
        cost_usd: what a run may cost, in USD.
        endpoint_minutes: how long before the end of its time to live an endpoint is reported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cost_usd: float = Field(5.0, gt=0)
    endpoint_minutes: float = Field(60.0, gt=0)
