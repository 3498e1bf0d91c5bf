"""The verdict: one sentence on what holds a training back, the evidence, the one change to make.

A rule that stopped the job is its verdict. Else findings compete: broken numbers come before a
network that does not learn, that before data that does not fit, that before wasted time (the most
seconds first), that before a better model. What would save next to nothing is not worth a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sm_entrypoints.contract import TRAIN_CHANNEL
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.profiler_timeline import steps_of
from sm_entrypoints.rules.result import RuleResult
from sm_entrypoints.rules.verdict_case import Case, Finding, Gain, Group, duration, percent
from sm_entrypoints.rules.verdict_learning import LEARNING_FINDINGS
from sm_entrypoints.rules.verdict_machine import MACHINE_FINDINGS, taken_share
from sm_entrypoints.rules.verdict_quality import QUALITY_FINDINGS
from sm_entrypoints.rules.verdict_speed import SPEED_FINDINGS
from sm_entrypoints.rules.verdict_stopped import stopping

_FINDINGS = (*LEARNING_FINDINGS, *SPEED_FINDINGS, *MACHINE_FINDINGS, *QUALITY_FINDINGS)
# Time worth speaking of: this share of the job, and at least this many seconds.
_WORTH_SHARE, _WORTH_SECONDS = 0.03, 0.5
_MOST_OTHERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The finding that won, and the next best ones."""

    finding: Finding
    others: Sequence[Finding] = ()

    @property
    def sentence(self) -> str:
        """What holds the training back, in one sentence."""
        return self.finding.sentence

    def document(self) -> dict[str, Any]:
        """Return the content of ``verdict.json``."""
        others = [
            {
                "sentence": other.sentence,
                "rule": other.rule,
                "change": None if other.change is None else dict(other.change),
            }
            for other in self.others
        ]
        return {**self.finding.document(), "others": others}


def reach_verdict(evidence: Evidence, results: Mapping[str, RuleResult]) -> Verdict:
    """Return what holds the training back; "nothing to change" is a verdict too."""
    case = Case(evidence, results)
    found = [finding for find in _FINDINGS if (finding := find(case)) is not None]
    found.sort(key=lambda finding: (finding.group, -finding.worth))
    main = stopping(case, found)
    if main is not None:
        found = [finding for finding in found if finding.rule != main.rule]
    else:
        main = next((finding for finding in found if _matters(case, finding)), None)
    others = tuple(finding for finding in found if finding is not main)
    told = _nothing(case) if main is None else _with_doubt(case, main)
    return Verdict(finding=told, others=others[:_MOST_OTHERS])


def _with_doubt(case: Case, finding: Finding) -> Finding:
    """Return a finding about seconds with the reason, if there is one, not to trust them."""
    share = taken_share(case)
    if finding.group != Group.TIME or share is None:
        return finding
    doubt = (
        f"all seconds are larger than on a quiet machine: for {percent(share)} of their time the "
        "training's threads were ready, but other programs had the cores"
    )
    return replace(finding, evidence=(*finding.evidence, doubt))


def _matters(case: Case, finding: Finding) -> bool:
    if finding.group == Group.TIME:
        return finding.worth >= max(_WORTH_SECONDS, _WORTH_SHARE * case.seconds)
    return finding.group != Group.NOTE


def _nothing(case: Case) -> Finding:
    """Return the verdict that nothing should be changed, with what speaks for it."""
    judged = [result for result in case.results.values() if result.status != "NotApplicable"]
    if not judged and not case.evidence.epochs:
        return Finding(
            group=Group.NOTE,
            severity="ok",
            sentence="Nothing can be said: the job left nothing to look at.",
            rule=None,
            evidence=(),
            advice="Train with instrumentation=on, for at least a few dozen steps.",
        )
    return Finding(
        group=Group.NOTE,
        severity="ok",
        sentence=_nothing_sentence(case),
        rule=None,
        evidence=(*_time_lines(case), *_learning_lines(case), f"{len(judged)} rules looked at it"),
        advice="Leave it as it is; a search over lr may still find a better model.",
        gain=Gain(reasoning="no rule found time or quality to win"),
    )


def _nothing_sentence(case: Case) -> str:
    """Say only what was seen: an imported folder may hold tensors without times, or the reverse."""
    seen = [
        *(["the time goes into the network itself"] if _time_lines(case) else []),
        *(["it learns"] if _learns(case) else []),
    ]
    if not seen:
        return "Nothing to change: no rule found anything in what was recorded."
    return f"Nothing to change: {', and '.join(seen)}."


def _learns(case: Case) -> bool:
    result = case.results.get("LossNotDecreasing")
    return result is not None and result.status == "NoIssuesFound"


def _time_lines(case: Case) -> tuple[str, ...]:
    if not len(steps_of(case.evidence)) or not case.train_seconds:
        return ()
    phases = case.phases["TRAIN"]
    compute = (phases["forward"] + phases["backward"] + phases["optimizer"]) / case.train_seconds
    line = f"{percent(compute)} of {duration(case.train_seconds)} in training steps is computing"
    if case.demand is not None and case.on_cpu:
        line += f", on {case.cores} cores that it keeps {percent(case.demand)} busy"
    return (line,)


def _learning_lines(case: Case) -> tuple[str, ...]:
    losses = case.values(TRAIN_CHANNEL, "loss")
    if not losses:
        return ()
    return (f"training loss {losses[0]:.3f} in epoch 1, {losses[-1]:.3f} in the last",)
