"""A plan in words, for the terminal and for the artifact of the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from sm_entrypoints.contract.sentences import counted
from tasks.costs.worst_case import (
    cents,
    most_jobs,
    parallel_jobs,
)
from tasks.endpoints.kinds import kind_of
from tasks.plan.cost_lines import duration
from tasks.plan.earlier_runs import Rehearsal
from tasks.plan.requests import PlannedRequest
from tasks.plan.run import RunPlan
from tasks.plan.search_ways import SearchWay
from tasks.requests.shapes import AnyJob, is_endpoint_config, is_job, job_definition

_NAMES = (
    "HyperParameterTuningJobName",
    "TrainingJobName",
    "ModelName",
    "EndpointName",
    "EndpointConfigName",
)
_UNKNOWN = "not known"


def plan_text(plan: RunPlan) -> str:
    """Return the plan as aligned lines."""
    parts = [_head, _requests, _search, _costs, _needs, _afterwards]
    blocks = ["\n".join(part(plan)) for part in parts]
    return "\n\n".join(block for block in blocks if block)


def usd(amount: Decimal | None) -> str:
    """Return an amount as people write it: cents, and what is less than one."""
    if amount is None:
        return _UNKNOWN
    return "< $0.01" if 0 < amount < Decimal("0.01") else f"${cents(amount):,}"


def _head(plan: RunPlan) -> Iterable[str]:
    sent = f"Plan of {plan.run!r}: nothing has been sent or created."
    if not plan.bills:
        sent += " It runs on this machine and is free;"
    lines = [sent]
    if not plan.bills:
        lines.append("the amounts are what Amazon SageMaker would charge.")
    most = usd(plan.worst_usd)
    cap = "--max-usd makes it a hard cap" if plan.max_usd is None else f"cap {usd(plan.max_usd)}"
    if plan.worst_usd is None:
        lines.append("The maximum cost is not known: a price is missing below.")
    else:
        lines.append(f"At most {most} in total ({cap}).{_goes_on(plan)}")
    return lines


def _goes_on(plan: RunPlan) -> str:
    if plan.endpoint_hour_usd is None:
        return ""
    return (
        "\nAWS does not remove the endpoint: after its time to live it keeps billing "
        f"${plan.endpoint_hour_usd:.3f} per hour until `whippet clean-up` runs."
    )


def request_lines(requests: Sequence[PlannedRequest]) -> Iterator[str]:
    """Yield a line for each request: its operation, its name, and what it asks for."""
    yield from _aligned(
        [(each.operation, _name(each.request), _facts(each.request)) for each in requests]
    )


def _requests(plan: RunPlan) -> Iterator[str]:
    yield f"Requests ({len(plan.requests)}, all valid by SageMaker's own model; in full: --json)"
    yield from request_lines(plan.requests)
    if plan.adopted:
        yield f"  not sent, existing already: {', '.join(plan.adopted)}"


def _name(request: Mapping[str, object]) -> str:
    return next(str(request[name]) for name in _NAMES if name in request)


def _facts(request: Mapping[str, object]) -> str:
    if is_job(request):
        return _job_facts(request)
    if is_endpoint_config(request):
        return kind_of(request).machines(request)
    container = request.get("PrimaryContainer")
    return str(container["Image"]) if isinstance(container, Mapping) else ""


def _job_facts(request: AnyJob) -> str:
    definition = job_definition(request)
    resources = definition["ResourceConfig"]
    limit = definition["StoppingCondition"]["MaxRuntimeInSeconds"]
    jobs, parallel = most_jobs(request), parallel_jobs(request)
    facts = [
        *([f"{counted(jobs, 'job')}, {parallel} at a time"] if definition is not request else []),
        f"{resources['InstanceCount']} x {resources['InstanceType']}",
        f"{resources['VolumeSizeInGB']} GB",
        f"stopped after {limit} s",
        *(["managed spot"] if definition.get("EnableManagedSpotTraining") else []),
    ]
    return ", ".join(facts)


def _search(plan: RunPlan) -> Iterator[str]:
    if plan.search is None:
        return
    yield plan.search.sentence
    yield from plan.search.notes
    rows = [("", "trials", "at most", "expected")]
    for way in plan.search_ways:
        chosen = "this run" if way.strategy == plan.search.strategy else "or"
        amounts = usd(way.worst_usd), usd(way.expected_usd)
        rows.append((f"{chosen}: {_way(way)}", str(way.trials), *amounts))
    yield from _aligned(rows, right=(1, 2, 3))


def _way(way: SearchWay) -> str:
    jobs = "one training job" if way.strategy == "packed" else "a tuning job"
    return f"{jobs} (--strategy {way.strategy})"


def _costs(plan: RunPlan) -> Iterator[str]:
    yield "Cost, USD"
    rows = [("", "at most", "expected")]
    rows += [(line.what, usd(line.worst_usd), usd(line.expected_usd)) for line in plan.costs]
    rows.append(("all of it", usd(plan.worst_usd), usd(plan.expected_usd)))
    expected = _UNKNOWN if plan.expected_seconds is None else duration(plan.expected_seconds)
    rows.append(("time of the jobs", duration(plan.worst_seconds), expected))
    yield from _aligned(rows, right=(1, 2))
    if plan.max_usd is not None:
        yield f"  cap {usd(plan.max_usd)}: {_effect(plan)}"
    yield f"  expected: {_expectation(plan)}"
    yield f"  prices: {'; '.join(plan.prices.sources())}"
    yield "  SageMaker stops a job that exceeds its limit, and the run fails"
    yield "  not counted: logs, requests to S3, models and reports in S3, taxes"


def _effect(plan: RunPlan) -> str:
    if plan.limits == plan.asked:
        return "met without any change"
    changes = [
        f"{name} {before} -> {after}"
        for name, before, after in (
            ("trials", plan.asked.max_jobs, plan.limits.max_jobs),
            (_of_search(plan), plan.asked.trial_seconds, plan.limits.trial_seconds),
            ("seconds of the training", plan.asked.training_seconds, plan.limits.training_seconds),
        )
        if before != after
    ]
    return f"met by {', '.join(changes)}"


def _of_search(plan: RunPlan) -> str:
    packed = plan.search is not None and plan.search.is_packed
    return "seconds of the search" if packed else "seconds of a trial"


def _expectation(plan: RunPlan) -> str:
    rehearsal = plan.rehearsal
    if rehearsal is None:
        return "not known; rehearse it here (`whippet run`, free of charge), then plan again"
    return (
        f"if the jobs take as long as those of run {rehearsal.run!r} did on {rehearsal.machine}: "
        f"{_expected_search(plan, rehearsal)}{rehearsal.training_seconds} s for the training"
    )


def _expected_search(plan: RunPlan, rehearsal: Rehearsal) -> str:
    """Return what an earlier run tells of this search: nothing, if it searched in another way."""
    if plan.search is None:
        return ""
    if plan.search.is_packed:
        seconds, what = rehearsal.search_seconds, "for the packed search"
    else:
        seconds, what = rehearsal.trial_seconds, "per trial"
    return f"{seconds} s {what}, " if seconds else f"not known {what}, "


def _needs(plan: RunPlan) -> Iterator[str]:
    yield "Needed on AWS"
    rows = [("quota", name, f"at least {count}") for name, count in plan.quotas.items()]
    rows += [("permission", action, "") for action in plan.permissions]
    rows.append(("", "(all of them, with reasons: whippet iam)", ""))
    yield from _aligned(rows)


def _afterwards(plan: RunPlan) -> Iterator[str]:
    yield "Keeps billing until removed"
    rows = [("data in S3", f"{usd(plan.objects_month_usd)} per month", "")]
    if any(each.operation == "CreateEndpoint" for each in plan.requests):
        rows.insert(0, ("endpoint", _endpoint_goes_on(plan), ""))
    yield from _aligned(rows)


def _endpoint_goes_on(plan: RunPlan) -> str:
    if plan.endpoint_hour_usd is not None:
        hour = f"${plan.endpoint_hour_usd:.3f} per hour, {usd(plan.endpoint_month_usd)} per month"
        return f"{hour}, whether used or not"
    configs = [each.request for each in plan.requests if is_endpoint_config(each.request)]
    return kind_of(configs[0]).at_rest


def _aligned(rows: Sequence[tuple[str, ...]], right: tuple[int, ...] = ()) -> Iterator[str]:
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"  {'  '.join(cells)}".rstrip()


def plan_markdown(plan: RunPlan) -> str:
    """Return the plan as the markdown of its artifact."""
    return f"# Plan of the run\n\n```text\n{plan_text(plan)}\n```"
