"""What jobs run on, and the base class of all parameter models. See tasks/parameters/run.py."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from platforms.instances import has_gpu
from sm_entrypoints.contract.sentences import did_you_mean, nearest
from tasks.parameters.form import ADVANCED, as_form
from tasks.parameters.options import option_of


def field_for(
    parameter: str, *, note: str = "", form: Mapping[str, Any] | None = None, **bounds: Any
) -> Any:
    """Return the field of a parameter that has an option: its default, title and description.

    ``note`` is what only a form needs to say; ``form`` is added to its JSON schema; ``bounds`` are
    pydantic's.
    """
    option = option_of(parameter)
    if "default_factory" not in bounds:
        bounds["default"] = option.value
    return Field(
        title=option.title,
        description=f"{option.sentence} {note}".rstrip(),
        json_schema_extra={ADVANCED: not option.is_common, **(form or {})},
        **bounds,
    )


class Parameters(BaseModel):
    """Base of every parameter model."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # What a form calls the model, what it says of its advanced fields, and what it shows among
    # them besides, by name.
    form_title: ClassVar[str] = ""
    form_advanced: ClassVar[str] = ""
    form_only: ClassVar[Mapping[str, Any]] = {}

    @model_validator(mode="before")
    @classmethod
    def _no_typos(cls, value: object) -> object:
        return cls.read_form(value) if isinstance(value, dict) else value

    @classmethod
    def read_form(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the fields that values stand for, those of ``form_only`` included.

        Raises:
            ValueError: a name is misspelt; says what was meant.
        """
        known = [*cls.model_fields, *cls.form_only]
        for name in values:
            meant = did_you_mean(nearest(str(name), known))
            if name not in known and meant:
                raise ValueError(f"there is no {name!r}: {meant}")
        return values

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler.resolve_ref_schema(handler(core_schema))
        as_form(schema)
        return schema


class ResourceParameters(Parameters):
    """What a job runs on, and its hard limits."""

    form_title = "instances and cost"
    form_advanced = "How many instances, their storage, time limits, spot capacity and warm pools."

    instance_type: str = field_for("resources.instance_type", pattern=r"^ml\.")
    instance_count: int = field_for("resources.instance_count", ge=1, le=16)
    volume_gb: int = field_for("resources.volume_gb", ge=1, le=16384)
    max_runtime_seconds: int = field_for("resources.max_runtime_seconds", ge=60, le=432_000)
    spot: bool = field_for("resources.spot")
    max_wait_seconds: int | None = field_for("resources.max_wait_seconds", ge=60, le=2_592_000)
    keep_alive_seconds: int = field_for("resources.keep_alive_seconds", ge=0, le=3600)
    max_usd: Decimal | None = field_for("resources.max_usd", gt=0, le=1_000_000, decimal_places=2)

    @property
    def longest_seconds(self) -> int:
        """The longest that a job may take, waiting for spot capacity included."""
        return self.max_wait_seconds or self.max_runtime_seconds * (2 if self.spot else 1)

    @model_validator(mode="after")
    def _the_service_takes_the_pair(self) -> Self:
        if self.spot and self.keep_alive_seconds:
            raise ValueError(
                "spot instances cannot be kept warm: use either spot or keep_alive_seconds"
            )
        if self.max_wait_seconds is not None and not self.spot:
            raise ValueError("max_wait_seconds is for spot instances: use spot as well")
        if (self.max_wait_seconds or self.max_runtime_seconds) < self.max_runtime_seconds:
            raise ValueError(
                f"max_wait_seconds={self.max_wait_seconds} is less than "
                f"max_runtime_seconds={self.max_runtime_seconds}, which it includes"
            )
        if self.instance_count > 1 and not has_gpu(self.instance_type):
            # SDK 2.257.7, fw_utils.py: torch_distributed is for GPU and Trainium instances only.
            raise ValueError(
                f"instance_count={self.instance_count} of {self.instance_type}: AWS's images "
                "train on several instances only if these have GPUs: use one instance, or a "
                "type such as ml.g5.xlarge"
            )
        return self
