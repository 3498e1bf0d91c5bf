"""The search space of a tuning job: SageMaker's ``ParameterRanges`` as Optuna distributions.

Pure: a request's ranges in, distributions and hyperparameter strings out. Optuna's draws are kept
in its own scale (``internal``); :meth:`SearchSpace.encode` turns a draw into the strings that a
training job receives, and :meth:`SearchSpace.decode` turns such strings back, so that finished
trials can be fed to a new study.

Scaling (facts: botocore's model of ``ScalingType``):

- ``Linear``: uniform over the range.
- ``Logarithmic``: uniform in ``log(x)``; the range must be greater than 0.
- ``ReverseLogarithmic``: uniform in ``log(1 - x)``, so values close to 1 are sampled densely;
  continuous only, the range must lie in ``0 <= x < 1``. Optuna has no such distribution, so it
  draws ``1 - x`` on a log scale and the result is mirrored.
- ``Auto``: AWS does not say how it chooses. Here: :mod:`sm_entrypoints.contract.scaling`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from platforms.errors import WhippetError
from sm_entrypoints.contract.scaling import drawn_scale

Kind = Literal["integer", "continuous", "categorical"]


class SearchSpaceError(WhippetError):
    """Raised when a range of hyperparameters is reversed, empty or contradicts its scaling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One hyperparameter to tune: its range in the job's own units and how it is drawn."""

    name: str
    kind: Kind
    distribution: BaseDistribution
    low: float = 0.0
    high: float = 0.0
    mirrored: bool = False

    @property
    def combinations(self) -> float:
        """How many different values there are; infinite for a continuous range."""
        if isinstance(self.distribution, CategoricalDistribution):
            return len(self.distribution.choices)
        return self.high - self.low + 1 if self.kind == "integer" else math.inf

    def encode(self, internal: Any) -> str:
        """Return the string that the training job gets for a value drawn by Optuna."""
        if self.kind == "integer":
            return str(int(internal))
        if self.kind == "categorical":
            return str(internal)
        value = 1.0 - float(internal) if self.mirrored else float(internal)
        # 1 - (1 - x) can leave the range by one unit in the last place.
        return repr(min(max(value, self.low), self.high))

    def decode(self, text: str) -> Any:
        """Return the value in Optuna's scale for a hyperparameter string.

        Raises:
            SearchSpaceError: ``text`` is not a value of this range.
        """
        if isinstance(self.distribution, CategoricalDistribution):
            self._require(text in self.distribution.choices, text)
            return text
        value = _integer(self.name, text) if self.kind == "integer" else _number(self.name, text)
        self._require(self.low <= value <= self.high, text)
        if not self.mirrored:
            return value
        return min(max(1.0 - value, 1.0 - self.high), 1.0 - self.low)

    def _require(self, inside: bool, text: str) -> None:
        if not inside:
            raise SearchSpaceError(
                f"Hyperparameter {self.name!r}: {text!r} is outside its range "
                f"{self.distribution}; give a value inside, or widen the range."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """All hyperparameters that a tuning job draws, in the order of the request."""

    parameters: tuple[Parameter, ...]

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What to pass to ``study.ask``."""
        return {each.name: each.distribution for each in self.parameters}

    @property
    def grid(self) -> dict[str, list[str]]:
        """The values of every categorical hyperparameter, for a grid search."""
        return {
            each.name: list(each.distribution.choices)  # type: ignore[arg-type]
            for each in self.parameters
            if isinstance(each.distribution, CategoricalDistribution)
        }

    def encode(self, drawn: Mapping[str, Any]) -> dict[str, str]:
        """Return hyperparameter strings (integers as ``"4"``, floats round-trip exactly)."""
        return {each.name: each.encode(drawn[each.name]) for each in self.parameters}

    def decode(self, hyperparameters: Mapping[str, str]) -> dict[str, Any]:
        """Return the draw that :meth:`encode` would turn into these strings.

        Raises:
            SearchSpaceError: one is missing or outside its range.
        """
        missing = [each.name for each in self.parameters if each.name not in hyperparameters]
        if missing:
            raise SearchSpaceError(f"Hyperparameters {missing} are missing; give a value for each.")
        return {each.name: each.decode(hyperparameters[each.name]) for each in self.parameters}


def search_space(ranges: Mapping[str, Any]) -> SearchSpace:
    """Return the search space of a request's ``ParameterRanges``.

    Raises:
        SearchSpaceError: reversed or empty range, not a number, scaling that the range does not
            allow, a name twice, no range at all. The message names the hyperparameter.
    """
    parameters = (
        *(_integer_parameter(each) for each in ranges.get("IntegerParameterRanges", ())),
        *(_continuous_parameter(each) for each in ranges.get("ContinuousParameterRanges", ())),
        *(_categorical_parameter(each) for each in ranges.get("CategoricalParameterRanges", ())),
    )
    if not parameters:
        raise SearchSpaceError("ParameterRanges is empty; give at least one range to search.")
    names = [each.name for each in parameters]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SearchSpaceError(f"Hyperparameters {twice} have more than one range; give one each.")
    return SearchSpace(parameters=parameters)


def _integer_parameter(given: Mapping[str, Any]) -> Parameter:
    name = given["Name"]
    low, high = _integer(name, given["MinValue"]), _integer(name, given["MaxValue"])
    if given.get("ScalingType") == "ReverseLogarithmic":
        raise SearchSpaceError(
            f"Hyperparameter {name!r}: ReverseLogarithmic scaling is for continuous ranges; "
            "use Linear or Logarithmic for an integer."
        )
    scaling = _scaling(given, low, high)
    return Parameter(
        name=name,
        kind="integer",
        distribution=IntDistribution(low, high, log=scaling == "Logarithmic"),
        low=low,
        high=high,
    )


def _continuous_parameter(given: Mapping[str, Any]) -> Parameter:
    name = given["Name"]
    low, high = _number(name, given["MinValue"]), _number(name, given["MaxValue"])
    scaling = _scaling(given, low, high)
    mirrored = scaling == "ReverseLogarithmic"
    distribution = (
        FloatDistribution(1.0 - high, 1.0 - low, log=True)
        if mirrored
        else FloatDistribution(low, high, log=scaling == "Logarithmic")
    )
    return Parameter(
        name=name,
        kind="continuous",
        distribution=distribution,
        low=low,
        high=high,
        mirrored=mirrored,
    )


def _categorical_parameter(given: Mapping[str, Any]) -> Parameter:
    name, values = given["Name"], list(given["Values"])
    if not values or len(set(values)) != len(values):
        raise SearchSpaceError(
            f"Hyperparameter {name!r}: Values={values!r} must have at least one value, and no "
            "value twice."
        )
    return Parameter(name=name, kind="categorical", distribution=CategoricalDistribution(values))


def _scaling(given: Mapping[str, Any], low: float, high: float) -> str:
    """Return the scaling to use, once the bounds allow it."""
    name = given["Name"]
    if not low < high:
        raise SearchSpaceError(
            f"Hyperparameter {name!r}: MinValue={given['MinValue']} must be less than "
            f"MaxValue={given['MaxValue']}; swap them, or make it a static hyperparameter."
        )
    scaling = drawn_scale(given.get("ScalingType", "Auto"), low, high)
    if scaling == "Logarithmic" and low <= 0:
        raise SearchSpaceError(
            f"Hyperparameter {name!r}: Logarithmic scaling needs MinValue > 0, "
            f"got {given['MinValue']}; raise it or use Linear."
        )
    if scaling == "ReverseLogarithmic" and not (low >= 0 and high < 1):
        raise SearchSpaceError(
            f"Hyperparameter {name!r}: ReverseLogarithmic scaling needs 0 <= x < 1, got "
            f"{given['MinValue']} to {given['MaxValue']}; narrow the range or use Linear."
        )
    return scaling


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SearchSpaceError(
            f"Hyperparameter {name!r}: {text!r} is not an integer; write it like '4'."
        ) from None


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SearchSpaceError(
            f"Hyperparameter {name!r}: {text!r} is not a finite number; write it like '1e-4'."
        )
    return value
