"""The cap on a run's cost: limits for its jobs that keep the worst case below the cap. Pure.

The endpoint's time to live comes first, since nothing shortens it. The jobs, both trials and
training, share the rest: first each gets less time, down to ten minutes, then the search gets fewer
trials, down to one. A packed search is one job, which fewer trials hardly shorten: it keeps its
trials. A cap that is too low even for this is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from platforms.errors import ParameterError
from sm_entrypoints.contract.choices import Strategy
from sm_entrypoints.contract.sentences import counted
from tasks.costs.prices import PriceList, table_region
from tasks.costs.worst_case import cents
from tasks.parameters.run import ResourceParameters, TuningParameters

# Less would end most trainings before they are worth anything.
LEAST_SECONDS = 600


class BudgetError(ParameterError):
    """Raised when a cap cannot be kept; names the smallest one that can, and what to lower."""


class Limits(BaseModel):
    """What a run's jobs may use: how many trials, how many seconds a trial and the training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_jobs: int
    trial_seconds: int
    training_seconds: int

    def tuning(self, tuning: TuningParameters) -> TuningParameters:
        """Return the search with these limits."""
        if tuning.strategy == "Grid":  # its values say how many
            return tuning
        return tuning.model_copy(update={"max_jobs": self.max_jobs})

    def trial_resources(self, resources: ResourceParameters) -> ResourceParameters:
        """Return the resources of a trial with these limits."""
        return _within(resources, self.trial_seconds)

    def training_resources(self, resources: ResourceParameters) -> ResourceParameters:
        """Return the resources of the training job with these limits."""
        return _within(resources, self.training_seconds)


class Agreed(Limits):
    """The limits of a run's jobs, and how its search is made: never ``auto``; None without one."""

    strategy: Strategy | None

    def tuning(self, tuning: TuningParameters) -> TuningParameters:
        """Return the search with these limits, made this way."""
        return super().tuning(tuning.model_copy(update={"strategy": self.strategy}))


def _within(resources: ResourceParameters, seconds: int) -> ResourceParameters:
    """Return resources with a lower limit; the longest wait for spot capacity shrinks with it."""
    wait = resources.max_wait_seconds
    if wait is not None:
        wait = max(seconds, wait * seconds // resources.max_runtime_seconds)
    return resources.model_copy(update={"max_runtime_seconds": seconds, "max_wait_seconds": wait})


def asked_limits(tuning: TuningParameters | None, resources: ResourceParameters) -> Limits:
    """Return the limits that the parameters ask for."""
    return Limits(
        max_jobs=tuning.trials() if tuning else 1,
        trial_seconds=resources.max_runtime_seconds,
        training_seconds=resources.max_runtime_seconds,
    )


def require_prices_of_region(cap: Decimal, prices: PriceList) -> None:
    """Refuse a cap that would be kept by the prices of another region.

    Raises:
        ParameterError: AWS's price list did not answer, and the table is not for this region.
    """
    foreign = prices.of_another_region()
    if foreign:
        raise ParameterError(
            f"max_usd={cap} cannot be guaranteed in {prices.region}: the price of "
            f"{', '.join(foreign)} is known only from a table for {table_region()}. Allow "
            "pricing:GetProducts (`whippet iam`), put the region's prices into "
            "tasks/costs/price_table.json, or leave out the cap"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A cap, and what stands against it.

    Attributes:
        max_usd: the cap. fixed_usd: what no limit changes: money spent already, running jobs, the
        endpoint. fixed_trials: the number of trials is given (a grid), or costs nothing (packed).
        worst: what the jobs still to be created cost at most under some limits; grows with them.
        tuning_fixed: the search is created already, its limits stand. training_fixed: so is the
        training job. packed: the search is one job.
    """

    max_usd: Decimal
    fixed_usd: Decimal
    fixed_trials: bool
    worst: Callable[[Limits], Decimal]
    tuning_fixed: bool = False
    training_fixed: bool = False
    packed: bool = False

    def fit(self, asked: Limits) -> Limits:
        """Return the largest limits, at most the asked ones, whose worst case keeps the cap.

        Raises:
            BudgetError: there are none.
        """
        if self._keeps(asked):
            return asked
        most = max(asked.trial_seconds, asked.training_seconds)
        least = min(LEAST_SECONDS, most)
        if self._keeps(self._at(asked, least)):
            return self._at(asked, _largest(least, most, lambda n: self._keeps(self._at(asked, n))))
        shortest = self._at(asked, least)
        if self.fixed_trials or self.tuning_fixed or not self._keeps(_with_jobs(shortest, 1)):
            raise self._too_small(shortest)
        jobs = _largest(1, asked.max_jobs, lambda n: self._keeps(_with_jobs(shortest, n)))
        return _with_jobs(shortest, jobs)

    def _keeps(self, limits: Limits) -> bool:
        return self.fixed_usd + self.worst(limits) <= self.max_usd

    def _at(self, asked: Limits, seconds: int) -> Limits:
        changes = {}
        if not self.tuning_fixed:
            changes["trial_seconds"] = min(seconds, asked.trial_seconds)
        if not self.training_fixed:
            changes["training_seconds"] = min(seconds, asked.training_seconds)
        return asked.model_copy(update=changes)

    def _too_small(self, shortest: Limits) -> BudgetError:
        is_fixed = self.fixed_trials or self.tuning_fixed
        least = shortest if is_fixed else _with_jobs(shortest, 1)
        jobs = self.worst(least)
        smallest = cents(self.fixed_usd + jobs)
        search = "a packed search" if self.packed else counted(least.max_jobs, "trial")
        return BudgetError(
            f"max_usd={self.max_usd} is too small: {cents(self.fixed_usd)} USD are fixed (the "
            "endpoint for its time to live, and what is already spent or running), and the jobs "
            f"cost up to {cents(jobs)} USD even with {search} of {least.trial_seconds} s. The "
            f"smallest cap that works is --max-usd {smallest}; or lower --hours-to-live, "
            "--max-runtime, --instance-count or the instance types"
        )


def _with_jobs(limits: Limits, jobs: int) -> Limits:
    return limits.model_copy(update={"max_jobs": jobs})


def _largest(least: int, most: int, holds: Callable[[int], bool]) -> int:
    """Return the largest number for which ``holds``; it does for ``least``, and is monotone."""
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if holds(middle) else (least, middle - 1)
    return least
