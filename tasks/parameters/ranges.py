"""Search ranges, presets and hyperparameter values: typed here, strings only on the wire."""

from __future__ import annotations

import json
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
from sm_entrypoints.contract.hyperparameters import HYPERPARAMETERS, Bounds, hyperparameter
from sm_entrypoints.contract.scaling import Scale, edge_of
from sm_entrypoints.contract.wire import Value, to_wire


class _Range(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ContinuousRange(_Range):
    """A float between ``min`` and ``max``, both included."""

    type: Literal["continuous"] = "continuous"
    min: float
    max: float
    scaling: Scale = "Auto"

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


def _require_scale(low: float, scaling: Scale) -> None:
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

    An optimum within 2% of the range means that the range was too narrow; it is measured on the
    scale on which values are drawn.
    """
    if isinstance(span, CategoricalRange) or isinstance(value, bool | str):
        return None
    return edge_of(value, span.min, span.max, span.scaling)


def edges_of(values: Mapping[str, Value], ranges: Mapping[str, SearchRange]) -> dict[str, str]:
    """Return the hyperparameters whose best value is at an edge that can be widened, and which.

    Where a range begins or ends with all that ``train.py`` takes, nothing lies beyond.
    """
    edges = {name: at_edge(values[name], ranges[name]) for name in ranges if name in values}
    return {
        name: edge
        for name, edge in edges.items()
        if edge and not _is_last(name, edge, ranges[name])
    }


def _is_last(name: str, edge: str, span: SearchRange) -> bool:
    known = HYPERPARAMETERS.get(name)
    if known is None or not isinstance(known.domain, Bounds) or isinstance(span, CategoricalRange):
        return False
    bounds = known.domain
    return span.min <= bounds.low if edge == "lower" else span.max >= bounds.high


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
