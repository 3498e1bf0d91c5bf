"""The plan of a run: its requests (tasks/plan/requests.py), costs, and limits under a cap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from platforms import Platform
from platforms.errors import ParameterError
from tasks.costs.cap import Budget, Limits, asked_limits, require_prices_of_region
from tasks.costs.ledger import endpoint_so_far_usd, planned_prices
from tasks.costs.prices import PriceList, Use, current_prices
from tasks.costs.worst_case import (
    HOURS_A_MONTH,
    endpoint_hour_usd,
    endpoint_usd,
    jobs_usd,
    most_seconds,
    objects_month_usd,
    total,
    wall_seconds,
    wanted_instances,
)
from tasks.dataset.checking.scan import Layout
from tasks.parameters.strategy import SearchChoice
from tasks.plan.cost_lines import CostLine, job_line, measured
from tasks.plan.data_size import DataSize, data_size
from tasks.plan.earlier_runs import Rehearsal, find_rehearsal
from tasks.plan.existing_jobs import ExistingJobs, JobStep
from tasks.plan.requests import (
    PlannedRequest,
    RunChoices,
    RunRequests,
    as_json,
    by_operation,
    permissions,
    planned_inputs,
    planned_requests,
    quotas,
    require_valid,
)
from tasks.plan.search_ways import SearchWay, choose, other_strategy
from tasks.requests.inputs import TrainingInputs
from tasks.runs.names import RunIdentity
from tasks.runs.record_model import RunFacts

_JOB_STEPS: tuple[JobStep, ...] = ("tune", "train", "finetune")


class RunPlan(BaseModel):
    """Everything that is known of a run before it starts; amounts in USD, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    bills: bool
    requests: list[PlannedRequest]
    data: DataSize
    costs: list[CostLine]
    worst_usd: Decimal | None
    expected_usd: Decimal | None
    worst_seconds: int
    expected_seconds: int | None
    rehearsal: Rehearsal | None
    endpoint_hour_usd: Decimal | None
    endpoint_month_usd: Decimal | None
    objects_month_usd: Decimal
    max_usd: Decimal | None
    asked: Limits
    limits: Limits
    prices: PriceList
    quotas: dict[str, int]
    permissions: list[str]
    adopted: list[str]
    search: SearchChoice | None
    search_ways: list[SearchWay]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Plans one run; ``record`` and ``existing`` are what a resumed run already has.

    The strategy of its search is settled: ``search``.
    """

    platform: Platform
    run: RunIdentity
    choices: RunChoices
    inputs: TrainingInputs
    data: DataSize
    record: RunFacts = field(default_factory=RunFacts)
    existing: ExistingJobs = field(default_factory=ExistingJobs)
    search: SearchChoice | None = None

    def plan(self) -> RunPlan:
        """Return the plan; raises what :func:`plan_run` does."""
        requested = self._asked()
        prices = self._prices(requested)
        limits = self._limits(requested, prices)
        requests = self.requests(limits)
        require_valid(requests)
        rehearsal = find_rehearsal(self.platform.settings, self.choices, self.run.name)
        costs = list(self._costs(requests, prices, rehearsal))
        hour = endpoint_hour_usd(requests["config"], prices) if "config" in requests else None
        return RunPlan(
            run=self.run.name,
            bills=self.platform.bills,
            requests=as_json(requests),
            data=self.data,
            costs=costs,
            worst_usd=total([line.worst_usd for line in costs]),
            expected_usd=total([line.expected_usd for line in costs]),
            worst_seconds=self._seconds(requests, None) or 0,
            expected_seconds=self._seconds(requests, rehearsal) if rehearsal else None,
            rehearsal=rehearsal,
            endpoint_hour_usd=hour,
            endpoint_month_usd=None if hour is None else hour * HOURS_A_MONTH,
            objects_month_usd=objects_month_usd(self.data.bytes, prices),
            max_usd=self.choices.resources.max_usd,
            asked=requested,
            limits=limits,
            prices=prices,
            quotas=quotas(requests),
            permissions=permissions(requests),
            adopted=[job.name for job in self.existing.jobs if self.existing.created(job.step)],
            search=self.search,
            search_ways=list(self._ways(requests, prices, rehearsal)),
        )

    def requests(self, limits: Limits) -> RunRequests:
        """Return the requests of the run under some limits."""
        choices = self.choices
        tuning = limits.tuning(choices.tuning) if choices.tuning else None
        resources = {
            "tune": limits.trial_resources(choices.resources),
            "train": limits.training_resources(choices.resources),
        }
        limited = choices.model_copy(update={"tuning": tuning})
        return planned_requests(self.platform, self.run, self.inputs, limited, resources)

    def _asked(self) -> Limits:
        """Return the requested limits; for an existing job, those it was created with."""
        requested = asked_limits(self.choices.tuning, self.choices.resources)
        if (plan := self.record.plan) is None or plan.limits is None:
            return requested
        before, kept = Limits.model_validate(plan.limits), dict[str, int]()
        if self.existing.created("tune"):
            kept |= {"max_jobs": before.max_jobs, "trial_seconds": before.trial_seconds}
        if self.existing.created("train"):
            kept |= {"training_seconds": before.training_seconds}
        return requested.model_copy(update=kept)

    def _prices(self, asked: Limits) -> PriceList:
        """Return the prices of the run: a resumed one keeps those that it began with."""
        if (planned := planned_prices(self.record)) is not None:
            return planned
        return current_prices(self.platform.pricing, self._wanted(asked))

    def _limits(self, asked: Limits, prices: PriceList) -> Limits:
        cap = self.choices.resources.max_usd
        if cap is None:
            return asked
        if self.platform.bills:
            require_prices_of_region(cap, prices)
        fixed = total([self._endpoint(asked, prices), self.existing.usd(self.record, prices)])
        if fixed is None or self._open_jobs(asked, prices) is None:
            raise ParameterError(
                f"max_usd={cap} cannot be guaranteed, because a price is not known: "
                f"{', '.join(self._unpriced(asked, prices))}. Add it to "
                "tasks/costs/price_table.json, use another instance, or leave out the cap"
            )
        tuning = self.choices.tuning
        budget = Budget(
            max_usd=cap,
            fixed_usd=fixed + objects_month_usd(self.data.bytes, prices),
            fixed_trials=tuning is None or tuning.strategy in ("Grid", "packed"),
            worst=lambda limits: self._open_jobs(limits, prices) or Decimal(0),
            tuning_fixed=self.existing.created("tune"),
            training_fixed=self.existing.created("train"),
            packed=tuning is not None and tuning.strategy == "packed",
        )
        return budget.fit(asked)

    def _open_jobs(self, limits: Limits, prices: PriceList) -> Decimal | None:
        """Return the maximum cost of the jobs still to be created."""
        requests = self.requests(limits)
        steps = [s for s in _JOB_STEPS if s in requests and not self.existing.created(s)]
        return total([jobs_usd(requests[step], prices) for step in steps])

    def _endpoint(self, limits: Limits, prices: PriceList) -> Decimal | None:
        deployment = self.choices.deployment
        if deployment is None:
            return Decimal(0)
        config = self.requests(limits)["config"]
        usd = endpoint_usd(config, deployment.hours_to_live, prices, deployment.max_instances)
        return None if usd is None else max(usd, endpoint_so_far_usd(self.record))

    def _wanted(self, limits: Limits) -> list[tuple[str, Use]]:
        return wanted_instances(request for _, request in by_operation(self.requests(limits)))

    def _unpriced(self, limits: Limits, prices: PriceList) -> list[str]:
        wanted = self._wanted(limits)
        missing = [f"{name} ({use})" for name, use in wanted if prices.per_hour(name, use) is None]
        return sorted(set(missing)) or ["what bills by use, or a job of an earlier attempt"]

    def _costs(
        self, requests: RunRequests, prices: PriceList, rehearsal: Rehearsal | None
    ) -> Iterator[CostLine]:
        if self.existing.jobs:
            usd = self.existing.usd(self.record, prices)
            yield CostLine(what="this run's jobs so far", worst_usd=usd, expected_usd=usd)
        for step in _JOB_STEPS:
            if step in requests and not self.existing.created(step):
                yield job_line(requests[step], prices, measured(requests[step], rehearsal))
        deployment = self.choices.deployment
        if deployment is not None:
            config, hours = requests["config"], deployment.hours_to_live
            what = f"endpoint for {hours:g} h, and up to 1 h until its clean-up"
            yield CostLine(
                what=what,
                worst_usd=endpoint_usd(config, hours, prices, deployment.max_instances),
                expected_usd=endpoint_usd(config, hours, prices),
            )
        month = objects_month_usd(self.data.bytes, prices)
        what = f"data in S3, {self.data.bytes / 1e6:.1f} MB for a month"
        yield CostLine(what=what, worst_usd=month, expected_usd=month)

    def _ways(
        self, requests: RunRequests, prices: PriceList, rehearsal: Rehearsal | None
    ) -> Iterator[SearchWay]:
        """Yield the search of this run, and the other way to make it, where there is one."""
        tuning = self.choices.tuning
        if tuning is None:
            return
        yield SearchWay.of(tuning, requests["tune"], prices, rehearsal)
        strategy = other_strategy(self.choices)
        if strategy is not None:
            other = tuning.model_copy(update={"strategy": strategy})
            choices = self.choices.model_copy(update={"tuning": other})
            search = replace(self, choices=choices).requests(asked_limits(other, choices.resources))
            yield SearchWay.of(other, search["tune"], prices, rehearsal)

    def _seconds(self, requests: RunRequests, rehearsal: Rehearsal | None) -> int | None:
        """Return how long the jobs take one after the other, at most or as rehearsed."""
        whole = 0
        for step in _JOB_STEPS:
            if step not in requests or self.existing.created(step):
                continue
            request = requests[step]
            each = measured(request, rehearsal) if rehearsal else most_seconds(request)
            if each is None:
                return None
            whole += wall_seconds(request, each)
        return whole


def plan_run(
    platform: Platform,
    run: RunIdentity,
    choices: RunChoices,
    record: RunFacts | None = None,
    existing_jobs: ExistingJobs | None = None,
    *,
    layout: Layout | None = None,
) -> RunPlan:
    """Return the plan of a run; reads the data folder's names and sizes unless ``layout`` has them.

    Raises:
        DataError: there is no such data folder.
        BudgetError: the worst case passes ``max_usd`` whatever the limits.
        ParameterError: a price is not known that a cap needs, a request is not valid, or the
            search cannot be packed as it shall be.
    """
    record = record or RunFacts()
    search = choose(choices, record)
    if search is not None and choices.tuning is not None:
        choices = choices.model_copy(update={"tuning": search.settle(choices.tuning)})
    return Planner(
        platform=platform,
        run=run,
        choices=choices,
        inputs=planned_inputs(platform, choices, record),
        data=data_size(platform, choices.data, layout),
        record=record,
        existing=existing_jobs or ExistingJobs(),
        search=search,
    ).plan()
