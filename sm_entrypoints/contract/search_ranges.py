"""A range of one hyperparameter that a packed search draws from, as a plan carries it.

The documents are those of ``tasks/parameters/ranges.py``; values are checked against the bounds in
``hyperparameters``. Not for drawing: the job does that. Standard library only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sm_entrypoints.contract.hyperparameters import hyperparameter
from sm_entrypoints.contract.scaling import Scale, drawn_scale

Kind = Literal["continuous", "integer", "categorical"]

_MEMBERS = {
    "continuous": {"type", "min", "max", "scaling"},
    "integer": {"type", "min", "max", "scaling"},
    "categorical": {"type", "values"},
}


class RangeError(ValueError):
    """Raised when a range is none; names the hyperparameter, the value and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedRange:
    """What may be drawn: numbers from ``low`` to ``high``, both included, or ``values``.

    ``scale`` is never ``Auto`` for drawing: :attr:`drawn_scale`. ``values`` are texts of the wire.
    """

    kind: Kind
    low: float = 0.0
    high: float = 0.0
    scale: Scale = "Auto"
    values: tuple[str, ...] = ()

    @property
    def drawn_scale(self) -> Scale:
        """The scale on which draws are even."""
        return drawn_scale(self.scale, self.low, self.high)

    def document(self) -> dict[str, Any]:
        """Return the range as :func:`read_range` takes it, without what is its default."""
        if self.kind == "categorical":
            return {"type": self.kind, "values": list(self.values)}
        whole = self.kind == "integer"
        low, high = (int(self.low), int(self.high)) if whole else (self.low, self.high)
        scaling = {} if self.scale == "Auto" else {"scaling": self.scale}
        return {"type": self.kind, "min": low, "max": high, **scaling}


def read_range(name: str, document: object) -> SearchedRange:
    """Read the range of a known hyperparameter.

    Raises:
        RangeError: a member is missing, unknown or wrong, or ``train.py`` would refuse a value.
    """
    if not isinstance(document, Mapping) or document.get("type") not in get_args(Kind):
        raise RangeError(
            f"the range of {name} is {document!r}, not an object with a type of "
            f"{', '.join(get_args(Kind))}"
        )
    kind: Kind = document["type"]
    unknown = sorted(map(str, set(document) - _MEMBERS[kind]))
    if unknown:
        known = ", ".join(sorted(_MEMBERS[kind]))
        raise RangeError(f"the range of {name} has unknown members {unknown}; known: {known}")
    if kind == "categorical":
        return SearchedRange(kind=kind, values=_values(name, document.get("values")))
    if kind == "continuous" and hyperparameter(name).kind is int:
        raise RangeError(
            f"the range of {name} is continuous, but it is a whole number: use integer"
        )
    low, high = (_bound(name, kind, document, member) for member in ("min", "max"))
    if low >= high:
        raise RangeError(f"the range of {name} is from {low} to {high}: min must be below max")
    scale = _scale(name, kind, low, high, document.get("scaling", "Auto"))
    return SearchedRange(kind=kind, low=low, high=high, scale=scale)


def _values(name: str, values: object) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not values:
        raise RangeError(f"the range of {name} has values={values!r}: list at least one")
    texts = tuple(value if isinstance(value, str) else json.dumps(value) for value in values)
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise RangeError(f"the range of {name} has {', '.join(twice)} twice: keep one of each")
    for text in texts:
        _require_allowed(name, text)
    return texts


def _bound(name: str, kind: Kind, document: Mapping[str, Any], member: str) -> float:
    value: Any = document.get(member)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or (kind == "integer" and value != int(value)):
        wanted = "a whole number" if kind == "integer" else "a number"
        raise RangeError(f"the range of {name} has {member}={value!r}: it must be {wanted}")
    _require_allowed(name, json.dumps(value))
    return float(value)


def _require_allowed(name: str, text: str) -> None:
    row = hyperparameter(name)
    try:
        row.read(text)
    except ValueError as error:
        raise RangeError(f"the range of {name} holds what is not allowed: {error}") from None


def _scale(name: str, kind: Kind, low: float, high: float, scale: object) -> Scale:
    if scale not in get_args(Scale) or (kind == "integer" and scale == "ReverseLogarithmic"):
        known = ", ".join(get_args(Scale))
        raise RangeError(f"the range of {name} has scaling={scale!r}; known: {known}")
    if scale == "Logarithmic" and low <= 0:
        raise RangeError(f"the range of {name} is logarithmic, but min={low} is not above 0")
    if scale == "ReverseLogarithmic" and not 0 <= low < high < 1:
        raise RangeError(
            f"the range of {name} is reverse logarithmic, but {low} to {high} is not within 0 to 1"
        )
    return scale  # type: ignore[return-value]
