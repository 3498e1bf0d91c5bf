"""The verdict: what holds a training back, the evidence, and the one change to make.

If a rule stopped the job, that rule is the verdict. Otherwise findings compete: broken numbers come
before a network that does not learn, then data that does not fit, then wasted time (most seconds
first), then a better model. A change that would save next to nothing is not proposed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.result import RuleResult
from sm_entrypoints.rules.verdict.case import Case
from sm_entrypoints.rules.verdict.claims import holds
from sm_entrypoints.rules.verdict.finding import Finding, Group, percent
from sm_entrypoints.rules.verdict.learning import LEARNING_FINDINGS
from sm_entrypoints.rules.verdict.machine import MACHINE_FINDINGS, taken_share
from sm_entrypoints.rules.verdict.nothing import nothing_to_change
from sm_entrypoints.rules.verdict.outcome import OUTCOME_FINDINGS, untold
from sm_entrypoints.rules.verdict.quality import QUALITY_FINDINGS
from sm_entrypoints.rules.verdict.speed import SPEED_FINDINGS
from sm_entrypoints.rules.verdict.stopped import stopping

_FINDINGS = (
    *(*LEARNING_FINDINGS, *OUTCOME_FINDINGS, *SPEED_FINDINGS, *MACHINE_FINDINGS),
    *QUALITY_FINDINGS,
)
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
    candidates = (find(case) for find in _FINDINGS)
    findings = [each for each in candidates if each is not None and holds(case, each)]
    main = stopping(case, findings)
    findings += untold(case, [*findings, *([] if main is None else [main])])
    findings.sort(key=lambda finding: (finding.group, -finding.worth))
    if main is not None:
        findings = [finding for finding in findings if finding.rule != main.rule]
    else:
        main = next((finding for finding in findings if _matters(case, finding)), None)
    others = tuple(finding for finding in findings if finding is not main)
    told = nothing_to_change(case, findings) if main is None else _with_doubt(case, main)
    shown = [_with_rule(case, each) for each in (told, *others[:_MOST_OTHERS])]
    return Verdict(finding=shown[0], others=tuple(shown[1:]))


def _with_rule(case: Case, finding: Finding) -> Finding:
    """Return a finding without its rule, where the rules' table says that this found nothing."""
    stopped_by = case.evidence.job.get("stopped_by")
    stopping_rule = stopped_by.get("rule") if isinstance(stopped_by, Mapping) else None
    triggered = finding.rule in case.triggered or finding.rule == stopping_rule
    return finding if triggered else replace(finding, rule=None)


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
