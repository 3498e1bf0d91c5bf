"""What a comparison means: the decision, the seconds and dollars, as a document and in words."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from dashboards.artifacts.charts import comparison_svg, markdown_image
from dashboards.artifacts.tables import markdown_table, markdown_text
from platforms.sagemaker_types import TrainingJob
from sm_entrypoints.contract.wire import Value
from tasks.costs.prices import PriceList
from tasks.improve.documents import Comparison, Estimate, Improvement, Saved, WholeJob
from tasks.improve.plan import ImprovementPlan
from tasks.parameters.notation import write_pair

IMPROVEMENT_FILE = "improvement.json"
NOTHING = "nothing to change"
_VARIANTS = {"A": "as trained", "B": "changed"}
# Stages of training.json that a comparison does not run.
_REST_OF_A_JOB = ("start_up", "initialization", "evaluation", "finalization")


def improvement(
    plan: ImprovementPlan,
    job: TrainingJob | None,
    comparison: Comparison | None,
    prices: PriceList | None = None,
) -> Improvement:
    """Return the content of ``improvement.json``.

    Args:
        plan: what was asked.
        job: the described comparison job; None when there was nothing to change.
        comparison: its ``comparison.json``; None with the job.
        prices: of the job's instance; without them nothing is said in dollars.
    """
    found: Comparison = comparison or {}
    decision = str(found.get("decision", NOTHING))
    change = dict(found.get("change", plan.change))
    return {
        "run": plan.name,
        "training_job": plan.training_job,
        "job": job and job["TrainingJobName"],
        "verdict": plan.sentence,
        "expected_gain": plan.expected_gain,
        "change": change,
        "before": dict(found.get("before", {})),
        "decision": decision,
        "reason": str(found.get("reason", plan.sentence)),
        "saved": _saved(job, found, prices),
        "whole_job": _whole_job(plan, found),
        "improved_hyperparameters": change if decision == "kept" else None,
        "options": set_options(change) if decision == "kept" else [],
        "comparison": comparison,
    }


def _saved(
    job: TrainingJob | None, comparison: Comparison, prices: PriceList | None
) -> Saved | None:
    """Return what each job of this length takes less (negative: more), in seconds and USD."""
    whole = comparison.get("job")
    if job is None or not whole:
        return None
    seconds, instance = float(whole["saved_seconds"]), job["ResourceConfig"]["InstanceType"]
    price = prices and prices.per_hour(instance, "training")
    hour = float(price.usd) if price else None
    return {
        "seconds": seconds,
        "epochs": whole["epochs"],
        "instance_type": instance,
        "usd_per_hour": hour,
        "usd": hour and hour * seconds / 3600,
        "usd_of_comparison": hour and hour * float(comparison["seconds"]) / 3600,
        "prices": price.source if price else None,
    }


def _whole_job(plan: ImprovementPlan, comparison: Comparison) -> WholeJob | None:
    """Return how many times as fast the whole job is, expected and measured on one basis.

    The verdict's expectation is about the whole job. The comparison measures the epochs and what
    they need; the job's other seconds (start-up, loading, test, delivery) were measured in the job
    itself, are the same with the change, and are added to both variants.
    """
    measured, stages = comparison.get("job"), plan.stage_seconds
    if not measured or "training" not in stages:
        return None
    speed = comparison.get("speed")
    once = speed["one_time_seconds"].get("A", 0.0) if speed else 0.0
    rest = {name: stages.get(name, 0.0) for name in _REST_OF_A_JOB}
    # What the comparison measured of preparing the variant is no second time in the rest.
    rest["initialization"] = max(0.0, rest["initialization"] - once)
    fixed = sum(rest.values())
    seconds = {name: fixed + measured["seconds"][name] for name in _VARIANTS}
    return {
        "basis": "the whole job: start-up, loading and test included",
        "rest_seconds": fixed,
        "seconds": seconds,
        "factor": seconds["A"] / seconds["B"],
        "saved_seconds": measured["saved_seconds"],
        "expected_factor": plan.expected_gain.get("factor"),
        "expected_saved_seconds": plan.expected_gain.get("seconds"),
    }


def set_options(change: Mapping[str, Value]) -> list[str]:
    """Return the options that give the next ``whippet run`` the change."""
    return [word for item in change.items() for word in ("--set", write_pair(*item))]


def rows(found: Improvement) -> list[dict[str, str]]:
    """Return a row a variant: what it is, and what was measured of it."""
    comparison: Comparison = found["comparison"] or {}
    return [_row(variant, found, comparison) for variant in _VARIANTS] if comparison else []


def _row(variant: str, found: Improvement, comparison: Comparison) -> dict[str, str]:
    values = found["before"] if variant == "A" else found["change"]
    speed, job = comparison.get("speed"), comparison.get("job")
    row = {
        "variant": _VARIANTS[variant],
        "hyperparameters": ", ".join(f"{name}={value}" for name, value in values.items()),
    }
    if speed:
        row["ms per image"] = f"{1000 * speed['seconds_per_image'][variant]:.3f}"
        row["once, s"] = f"{speed['one_time_seconds'][variant]:.2f}"
    if quality := comparison.get("quality"):
        loss = quality["mean_loss"][variant]
        row["validation loss"] = "diverged" if loss is None else f"{loss:.4f}"
    if job:
        row[f"{job['epochs']} epochs, s"] = f"{job['seconds'][variant]:.1f}"
    if found["whole_job"]:
        row["whole job, s"] = f"{found['whole_job']['seconds'][variant]:.1f}"
    return row


def facts(found: Improvement) -> dict[str, str]:
    """Return what was found out, a line each."""
    comparison: Comparison = found["comparison"] or {}
    lines = {"decision": f"{found['decision']}: {found['reason']}"}
    if found["verdict"]:
        lines = {"verdict": found["verdict"], **lines}
    speed, saved = comparison.get("speed"), found["saved"]
    if speed:
        lines["ratio"] = f"{_interval(speed['ratio'])} from {speed['pairs']} pairs of blocks"
        if speed["control"]:
            lines["noise"] = f"{_interval(speed['control'])} between equal blocks"
    if found["whole_job"] and comparison["measure"] != "quality":
        lines["whole job"] = _whole_job_text(found["whole_job"])
    if saved:
        lines["saved"] = saved_text(saved)
    return lines


def _whole_job_text(whole: WholeJob) -> str:
    """Return what was expected and what was measured of the whole job, both in the same seconds."""
    seconds, expected = whole["seconds"], whole["expected_factor"]
    is_known = isinstance(expected, int | float) and expected
    said = f"expected {expected:.2f} times as fast, " if is_known else ""
    return (
        f"{said}measured {whole['factor']:.2f} ({seconds['A']:.1f} s become {seconds['B']:.1f} s, "
        f"of which {whole['rest_seconds']:.1f} s are start-up, loading and test)"
    )


def _interval(estimate: Estimate) -> str:
    return (
        f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f}, "
        f"{estimate['confidence']:.0%})"
    )


def saved_text(saved: Saved) -> str:
    """Return what a job of this length takes less, or more, in words."""
    seconds = saved["seconds"]
    more = "less" if seconds >= 0 else "more"
    said = f"{abs(seconds):.1f} s {more} for a job of {saved['epochs']} epochs"
    if saved["usd"] is None:
        return f"{said}; no price is known for {saved['instance_type']}"
    return (
        f"{said}, {abs(saved['usd']):.4f} USD {more} if {saved['instance_type']} is as fast "
        f"({saved['usd_per_hour']} USD per hour, {saved['prices']})"
    )


def improvement_markdown(found: Improvement) -> str:
    """Return the artifact: decision, table, blocks as a picture."""
    lines = [f"# Improvement of {markdown_text(found['run'])}: {found['decision']}", ""]
    lines += [f"- {name}: {markdown_text(text)}" for name, text in facts(found).items()]
    table = rows(found)
    if table:
        lines += ["", markdown_table(table, list(table[0]))]
    comparison: Comparison = found["comparison"] or {}
    speed = comparison.get("speed")
    if speed:
        lines += [markdown_image(comparison_svg(speed["blocks"]), "Time of each block"), ""]
    if found["options"]:
        lines += [f"Next run: `whippet run … {shlex.join(found['options'])}`"]
    return "\n".join(lines)
