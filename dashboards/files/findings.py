"""What the rules found and concluded: ``rules.json`` and ``verdict.json`` as values.

Older and newer jobs may lack members or have more: missing ones read as empty. A member of the
wrong type raises ``ValueError`` naming the file, because half a table would look like a whole one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboards.files.reading import read_object

ISSUES = "IssuesFound"
NOT_APPLICABLE = "NotApplicable"
SEVERITIES = ("error", "warning", "ok", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place where a rule triggered; ``step`` counts within ``mode``, ``epoch`` from 1."""

    rule: str = ""
    kind: str = ""
    step: int
    epoch: int
    mode: str
    subject: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """One rule of a job: its text, its thresholds and what it found.

    ``status`` is NoIssuesFound, IssuesFound or NotApplicable; ``reason`` says why the last.
    """

    rule: str
    kind: str
    status: str
    triggered: int
    violations: int
    datapoints: int
    description: str
    threshold: str
    recommendation: str
    action: str
    reason: str
    parameters: Mapping[str, Any]
    details: Mapping[str, Any]
    marks: Sequence[Mark]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something else that was found, with the change that would answer it, if there is one."""

    sentence: str
    rule: str
    change: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What holds a training back, in one sentence, and the one change to make.

    ``severity`` is error, warning, ok or note (too little to say more); ``gain`` says in words what
    the change should bring.
    """

    sentence: str
    severity: str
    rule: str
    evidence: Sequence[str]
    change: Mapping[str, Any]
    advice: str
    gain: str
    reasoning: str
    others: Sequence[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All results of the rules for one job; ``judged`` is False if none was evaluated."""

    judged: bool = False
    verdict: Verdict | None = None
    rules: Sequence[RuleOutcome] = ()
    stopped_by: Mark | None = None

    @property
    def marks(self) -> list[Mark]:
        """The places where rules that found issues triggered, in the order of the rules."""
        return [mark for rule in self.rules if rule.status == ISSUES for mark in rule.marks]


@dataclass(frozen=True, slots=True)
class _Members:
    """An object's members, read as the kind that the caller needs."""

    values: Mapping[str, Any]
    where: str
    inner: str = field(default="")

    def text(self, name: str) -> str:
        value = self.values.get(name)
        return "" if value is None else str(value)

    def count(self, name: str) -> int:
        value = self.values.get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise self._wrong(name, "a number", value)
        return int(value)

    def mapping(self, name: str) -> Mapping[str, Any]:
        value = self.values.get(name) or {}
        if not isinstance(value, Mapping):
            raise self._wrong(name, "an object", value)
        return value

    def objects(self, name: str) -> list[_Members]:
        value = self.values.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
            raise self._wrong(name, "a list of objects", value)
        return [_Members(each, self.where, f"{name}.") for each in value]

    def texts(self, name: str) -> list[str]:
        value = self.values.get(name) or []
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        return [str(each) for each in value]

    def _wrong(self, name: str, needed: str, value: object) -> ValueError:
        return ValueError(
            f"{self.where}: {self.inner + name!r} must be {needed}, but got {value!r:.80}"
        )


def read_findings(rules_file: Path, verdict_file: Path) -> Findings:
    """Return what the two files say; files that do not exist give ``judged=False``.

    Raises:
        ValueError: a file is not in its format; names the file and the member.
    """
    rules, verdict = read_object(rules_file), read_object(verdict_file)
    members = _Members(rules or {}, str(rules_file))
    outcomes = [_outcome(each) for each in members.objects("rules")]
    stopped_by = members.mapping("stopped_by")
    return Findings(
        judged=rules is not None or verdict is not None,
        verdict=None if verdict is None else _verdict(_Members(verdict, str(verdict_file))),
        rules=tuple(sorted(outcomes, key=_order)),
        stopped_by=_mark(_Members(stopped_by, str(rules_file), "stopped_by."))
        if stopped_by
        else None,
    )


def _order(outcome: RuleOutcome) -> tuple[bool, bool, int, str]:
    triggered, nothing = outcome.status == ISSUES, outcome.status == NOT_APPLICABLE
    return not triggered, nothing, -outcome.triggered, outcome.rule


def _outcome(members: _Members) -> RuleOutcome:
    details = members.mapping("details")
    rule, kind = members.text("rule"), members.text("kind")
    return RuleOutcome(
        rule=rule,
        kind=kind,
        status=members.text("status"),
        triggered=members.count("triggered"),
        violations=members.count("violations"),
        datapoints=members.count("datapoints"),
        description=members.text("description"),
        threshold=members.text("threshold"),
        recommendation=members.text("recommendation"),
        action=members.text("action"),
        reason=str(details.get("reason") or ""),
        parameters=members.mapping("parameters"),
        details={name: value for name, value in details.items() if name != "reason"},
        marks=[_mark(each, rule, kind) for each in members.objects("marks")],
    )


def _mark(members: _Members, rule: str = "", kind: str = "") -> Mark:
    return Mark(
        rule=rule or members.text("rule"),
        kind=kind,
        step=members.count("step"),
        epoch=members.count("epoch"),
        mode=members.text("mode"),
        subject=members.text("subject"),
        message=members.text("message"),
    )


def _verdict(members: _Members) -> Verdict:
    gain = _Members(members.mapping("expected_gain"), members.where, "expected_gain.")
    severity = members.text("severity")
    return Verdict(
        sentence=members.text("sentence"),
        severity=severity if severity in SEVERITIES else "warning",
        rule=members.text("rule"),
        evidence=members.texts("evidence"),
        change=members.mapping("change"),
        advice=members.text("advice"),
        gain=gain_text(gain.values),
        reasoning=gain.text("reasoning"),
        others=[
            Finding(
                sentence=each.text("sentence"),
                rule=each.text("rule"),
                change=each.mapping("change"),
            )
            for each in members.objects("others")
        ],
    )


def gain_text(gain: Mapping[str, Any]) -> str:
    """Return in words what verdict.json's ``expected_gain`` promises; empty without a promise."""
    factor, seconds = gain.get("factor"), gain.get("seconds")
    kind = gain.get("kind")
    parts = []
    if isinstance(factor, int | float) and factor > 0:
        parts.append(f"{factor:.2f} times as fast" if kind == "speed" else f"factor {factor:.2f}")
    if isinstance(seconds, int | float) and seconds > 0:
        parts.append(f"about {seconds:,.0f} s less for a job like this one")
    if not parts and kind in ("speed", "quality"):
        parts.append("a faster training" if kind == "speed" else "a better model")
    return ", ".join(parts)
