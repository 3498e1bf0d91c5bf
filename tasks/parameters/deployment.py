"""What people fill in about an endpoint."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from platforms.endpoint_kinds import EndpointKind
from sm_entrypoints.contract.choices import Approve
from tasks.parameters.resources import Parameters, field_for


class DeploymentParameters(Parameters):
    """The endpoint: what it runs on, how it is tested, how long it may live."""

    form_title = "endpoint"
    form_advanced = "Instances and scaling, serverless limits, the smoke test, and a person's yes."

    kind: EndpointKind = field_for(
        "deployment.kind",
        note="real_time: instances that wait; serverless: billed by use; asynchronous: instances, "
        "and a queue of objects in S3.",
    )
    instance_type: str = field_for("deployment.instance_type", pattern=r"^ml\.")
    instance_count: int = field_for("deployment.instance_count", ge=1, le=16)
    max_instances: int | None = field_for("deployment.max_instances", ge=2, le=100)
    invocations_per_instance: int = field_for(
        "deployment.invocations_per_instance", ge=1, le=1_000_000
    )
    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = field_for("deployment.memory_mb")
    max_concurrency: int = field_for("deployment.max_concurrency", ge=1, le=200)
    smoke_images: int = field_for("deployment.smoke_images", ge=1, le=100)
    hours_to_live: float = field_for("deployment.hours_to_live", gt=0, le=8760)
    top_k: int = field_for("deployment.top_k", ge=1, le=100)
    approve: Approve = field_for("deployment.approve")
    margin_points: float = field_for("deployment.margin_points", gt=0, le=50)
    approve_hours: float = field_for("deployment.approve_hours", gt=0, le=720)

    @model_validator(mode="after")
    def _options_fit_the_kind(self) -> Self:
        instances = ("instance_type", "instance_count")
        takes: dict[EndpointKind, tuple[str, ...]] = {
            "serverless": ("memory_mb", "max_concurrency"),
            "asynchronous": instances,
            "real_time": (*instances, "max_instances", "invocations_per_instance"),
        }
        options = {name for names in takes.values() for name in names}
        # What was left at its default was not asked for.
        changed = {n for n in options if getattr(self, n) != type(self).model_fields[n].default}
        if wrong := sorted(changed - set(takes[self.kind])):
            raise ValueError(
                f"{', '.join(wrong)} have no meaning for an endpoint of kind {self.kind!r}: "
                f"leave them out (it takes {', '.join(takes[self.kind])})"
            )
        if self.max_instances is not None and self.max_instances <= self.instance_count:
            raise ValueError(
                f"max_instances={self.max_instances} must be more than "
                f"instance_count={self.instance_count}, where scaling starts"
            )
        return self


class CostParameters(Parameters):
    """What an endpoint may cost."""

    max_usd: Decimal | None = Field(
        None,
        gt=0,
        le=1_000_000,
        decimal_places=2,
        title="Most to spend (USD)",
        description="Refused where the endpoint could cost more within its time to live.",
    )
