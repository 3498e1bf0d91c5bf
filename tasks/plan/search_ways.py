"""The two ways to make a run's search, packed and as a tuning job: which it is, and both prices."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from sm_entrypoints.contract.choices import Strategy
from tasks.costs.prices import PriceList
from tasks.costs.worst_case import jobs_usd
from tasks.parameters.run import TuningParameters
from tasks.parameters.strategy import SearchChoice, choose_search, packing_obstacle
from tasks.plan.cost_lines import measured
from tasks.plan.earlier_runs import Rehearsal
from tasks.plan.requests import RunChoices
from tasks.requests.shapes import AnyJob
from tasks.runs.record_model import RunFacts


class SearchWay(BaseModel):
    """One way to make the search; amounts in USD, None when not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Strategy
    trials: int
    worst_usd: Decimal | None
    expected_usd: Decimal | None

    @classmethod
    def of(
        cls,
        tuning: TuningParameters,
        request: AnyJob,
        prices: PriceList,
        rehearsal: Rehearsal | None,
    ) -> SearchWay:
        """Return what a search costs that this request begins."""
        seconds = measured(request, rehearsal)
        return cls(
            strategy=tuning.strategy,
            trials=tuning.trials(),
            worst_usd=jobs_usd(request, prices),
            expected_usd=None if seconds is None else jobs_usd(request, prices, seconds),
        )


def choose(choices: RunChoices, record: RunFacts) -> SearchChoice | None:
    """Return how the search of a run is made; None for a run without one.

    ``auto`` stands for what a run that goes on began with. A plan of an earlier version does not
    say: its searches were tuning jobs.

    Raises:
        ParameterError: it shall be packed but cannot be.
    """
    if choices.tuning is None:
        return None
    before = record.search.strategy if record.search else "Bayesian"
    begun = before if record.plan else None
    return choose_search(choices.model, choices.tuning, choices.resources, begun=begun)


def other_strategy(choices: RunChoices) -> Strategy | None:
    """Return the other way to make a settled search: packed, or SageMaker's; None for none."""
    tuning = choices.tuning
    if tuning is None:
        return None
    if tuning.strategy == "packed":
        return "Bayesian"
    return None if packing_obstacle(choices.model, tuning, choices.resources) else "packed"
