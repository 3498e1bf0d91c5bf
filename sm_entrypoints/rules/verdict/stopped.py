"""The verdict of a job that a rule stopped: that rule, whatever else was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.rules.catalogue import RULES_BY_NAME
from sm_entrypoints.rules.verdict.case import Case
from sm_entrypoints.rules.verdict.finding import WORKING_MODEL, Change, Finding, Group
from sm_entrypoints.rules.verdict.learning import scaled_rate

# Updates that are too large do this: a tenth of the rate is the change to try.
_RATE_TOO_HIGH = frozenset({"DeadRelu", "ExplodingTensor", "SaturatedActivation", "TensorVariance"})


def stopping(case: Case, found: Sequence[Finding]) -> Finding | None:
    """Return what stopped the job as a finding; None when no rule did.

    A finding about the same rule, if there is one, says it better.
    """
    stop = case.evidence.job.get("stopped_by")
    if not isinstance(stop, Mapping) or not isinstance(stop.get("rule"), str):
        return None
    place = f"step {stop.get('step')} (epoch {stop.get('epoch')}, {stop.get('mode')})"
    same = next((finding for finding in found if finding.rule == stop["rule"]), None)
    if same is not None:
        line = f"the rule {stop['rule']} stopped the training at {place}"
        return replace(same, evidence=(line, *same.evidence))
    rule = RULES_BY_NAME.get(stop["rule"])
    return Finding(
        group=Group.BROKEN,
        severity="warning" if case.evidence.job.get("best_epoch") else "error",
        sentence=f"The rule {stop['rule']} stopped the training at {place}: "
        f"{ended(stop.get('message'))}",
        rule=stop["rule"],
        evidence=(f"it is about {stop.get('subject')}",),
        change=_change(case, stop),
        advice="" if rule is None else rule.recommendation,
        gain=WORKING_MODEL,
    )


def _change(case: Case, stop: Mapping[str, Any]) -> Change | None:
    """Return another rate, where the rule is about the rate."""
    higher = _lies_still(case, stop)
    if stop["rule"] not in _RATE_TOO_HIGH and higher is None:
        return None
    return scaled_rate(case, 10 if higher else 0.1)


def _lies_still(case: Case, stop: Mapping[str, Any]) -> bool | None:
    """Return whether a rule about both sides saw too little; None for other rules."""
    records = [each for each in case.evidence.records if each.mode == stop.get("mode")]
    if stop["rule"] == "WeightUpdateRatio":
        name = f"update_ratio/{stop.get('subject')}"
        ratios = [each.p95 for each in records if each.name == name and each.p95 is not None]
        return None if not ratios else ratios[-1] < 1
    if stop["rule"] == "LossNotDecreasing":
        losses = [each.mean for each in records if each.collection == "losses"]
        means = [loss for loss in losses if loss is not None]
        return None if not means else means[-1] <= 1.05 * means[0]
    return None
