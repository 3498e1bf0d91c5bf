"""Search ranges, presets and hyperparameter values: typed here, strings only on the wire."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    field_validator,
    model_validator,
)

from platforms.sagemaker_requests import RequestedChoice, RequestedRange, RequestedRanges
from platforms.sagemaker_types import ParameterRanges
from sm_entrypoints.contract.choices import Preset
from sm_entrypoints.contract.hyperparameters import hyperparameter
from sm_entrypoints.contract.wire import Value, to_wire

Scaling = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]

_EDGE_SHARE = 0.02


class _Range(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ContinuousRange(_Range):
    """A float between ``min`` and ``max``, both included."""

    type: Literal["continuous"] = "continuous"
    min: float
    max: float
    scaling: Scaling = "Auto"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _require_order(self.min, self.max)
        _require_scale(self.min, self.scaling)
        if self.scaling == "ReverseLogarithmic" and not 0 <= self.min < self.max < 1:
            raise ValueError(
                f"scaling='ReverseLogarithmic' needs 0 <= min < max < 1, not {self.min}:{self.max}"
            )
        return self


class IntegerRange(_Range):
    """A whole number between ``min`` and ``max``, both included."""

    type: Literal["integer"] = "integer"
    min: int
    max: int
    scaling: Literal["Auto", "Linear", "Logarithmic"] = "Auto"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _require_order(self.min, self.max)
        _require_scale(self.min, self.scaling)
        return self


class CategoricalRange(_Range):
    """One of ``values``."""

    type: Literal["categorical"] = "categorical"
    values: Annotated[list[Value], Field(min_length=1, max_length=30)]

    @field_validator("values")
    @classmethod
    def _different(cls, values: list[Value]) -> list[Value]:
        wire = [to_wire({"value": value})["value"] for value in values]
        twice = sorted({text for text in wire if wire.count(text) > 1})
        if twice:
            raise ValueError(f"values has {', '.join(twice)} more than once: keep one of each")
        return values


SearchRange = Annotated[
    ContinuousRange | IntegerRange | CategoricalRange, Field(discriminator="type")
]
_RANGES: TypeAdapter[SearchRange] = TypeAdapter(SearchRange)


def range_of(document: Mapping[str, object]) -> SearchRange:
    """Return the range that its dumped form stands for.

    Raises:
        ValueError: it is none.
    """
    return _RANGES.validate_python(document)


def _require_order(low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"range is reversed (min={low} > max={high}): swap min and max")
    if low == high:
        raise ValueError(f"range is empty (min == max == {low}): put the value into `fixed`")


def _require_scale(low: float, scaling: Scaling) -> None:
    if scaling == "Logarithmic" and low <= 0:
        raise ValueError(f"scaling='Logarithmic' needs min > 0, not {low}: use Linear")


# The second and third are the ranges of the two original write-ups; the third wrote eps high to
# low (1e-8 to 1e-9), and called it a batch-norm term: it is the optimiser's.
_PRESETS: dict[Preset, dict[str, SearchRange]] = {
    "quick": {
        "lr": ContinuousRange(min=1e-4, max=1e-2, scaling="Logarithmic"),
        "batch_size": CategoricalRange(values=[16, 32, 64]),
        "weight_decay": ContinuousRange(min=1e-5, max=1e-1, scaling="Logarithmic"),
    },
    "lr-batch-epochs": {
        "lr": ContinuousRange(min=1e-3, max=1e-1),
        "batch_size": CategoricalRange(values=[32, 64, 128, 256, 512]),
        "epochs": IntegerRange(min=2, max=5),
    },
    "lr-batch-eps-decay": {
        "lr": ContinuousRange(min=1e-5, max=1e-1),
        "eps": ContinuousRange(min=1e-9, max=1e-8),
        "weight_decay": ContinuousRange(min=1e-3, max=1e-1),
        "batch_size": CategoricalRange(values=[64, 128]),
    },
}


def preset_ranges(preset: Preset) -> dict[str, SearchRange]:
    """Return a copy of a preset's ranges by hyperparameter name."""
    return dict(_PRESETS[preset])


def without_epochs(ranges: Mapping[str, SearchRange], most: int) -> dict[str, SearchRange]:
    """Return ``ranges`` with ``epochs`` cut to ``most``, or dropped when no choice is left."""
    kept = dict(ranges)
    epochs = kept.pop("epochs", None)
    if isinstance(epochs, CategoricalRange):
        # Text is for train.py to refuse: it is not known here how many epochs it would be.
        values = [v for v in epochs.values if isinstance(v, str) or v <= most]
        if len(values) > 1:
            kept["epochs"] = CategoricalRange(values=values)
    elif epochs is not None and epochs.min < most:
        kept["epochs"] = epochs.model_copy(update={"max": min(most, epochs.max)})
    return kept


def require_known(names: Iterable[str]) -> None:
    """Raise ValueError, with the nearest known name, for a hyperparameter train.py has not."""
    for name in names:
        hyperparameter(name)


def at_edge(value: Value, span: SearchRange) -> str | None:
    """Return ``"lower"`` or ``"upper"`` when the best value sits on a range's edge, else None.

    An optimum within 2 % of the range (on its own scale) means that the range was too narrow.
    """
    if isinstance(span, CategoricalRange) or isinstance(value, bool | str):
        return None
    low, high = _position(span.min, span), _position(span.max, span)
    share = (_position(value, span) - low) / (high - low)
    if share <= _EDGE_SHARE:
        return "lower"
    return "upper" if share >= 1 - _EDGE_SHARE else None


def _position(value: float, span: ContinuousRange | IntegerRange) -> float:
    value = min(max(value, span.min), span.max)
    if span.scaling == "Logarithmic":
        return math.log(value)
    return -math.log(1 - value) if span.scaling == "ReverseLogarithmic" else float(value)


def wire_ranges(ranges: Mapping[str, SearchRange]) -> RequestedRanges:
    """Return the ``ParameterRanges`` member of a tuning request."""
    continuous: list[RequestedRange] = []
    integer: list[RequestedRange] = []
    categorical: list[RequestedChoice] = []
    for name, span in ranges.items():
        if isinstance(span, CategoricalRange):
            values = list(to_wire({str(i): v for i, v in enumerate(span.values)}).values())
            categorical.append({"Name": name, "Values": values})
            continue
        bounds: RequestedRange = {
            "Name": name,
            "MinValue": json.dumps(span.min),
            "MaxValue": json.dumps(span.max),
            "ScalingType": span.scaling,
        }
        (integer if isinstance(span, IntegerRange) else continuous).append(bounds)
    return {
        "ContinuousParameterRanges": continuous,
        "IntegerParameterRanges": integer,
        "CategoricalParameterRanges": categorical,
    }


def ranges_from_wire(ranges: ParameterRanges) -> dict[str, SearchRange]:
    """Return the searched ranges of a described tuning job, without those that leave no choice."""
    searched: dict[str, SearchRange] = {}
    numeric = (
        (IntegerRange, ranges.get("IntegerParameterRanges", [])),
        (ContinuousRange, ranges.get("ContinuousParameterRanges", [])),
    )
    for span, described in numeric:
        for each in described:
            low, high = json.loads(each["MinValue"]), json.loads(each["MaxValue"])
            if low < high:
                bounds = {"min": low, "max": high, "scaling": each.get("ScalingType", "Auto")}
                searched[each["Name"]] = span.model_validate(bounds)
    for choice in ranges.get("CategoricalParameterRanges", []):
        values = list(dict.fromkeys(choice["Values"]))
        searched[choice["Name"]] = CategoricalRange(values=values)
    return searched
