"""What a rule found: AWS's five members, and where on the curves it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

# SageMaker's RuleEvaluationStatus, and one for a rule whose input does not exist (no GPU, …).
Status = Literal["NoIssuesFound", "IssuesFound", "NotApplicable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place where a rule triggered; ``step`` counts within ``mode`` (TRAIN or EVAL), from 0.

    ``subject`` is what it is about: a tensor's, phase's or device's name.
    """

    step: int
    epoch: int
    mode: str
    subject: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """The outcome of one rule.

    Attributes:
        rule: its name, AWS's where AWS has the rule (``VanishingGradient``). triggered: how often
        it fired (``RuleTriggered``). violations: datapoints that broke the threshold. datapoints:
        datapoints examined. details: JSON values that show the evidence, and ``reason`` when not
        applicable. parameters: the thresholds that were used, after scaling to the job's length.
        marks: the first places where it triggered.
    """

    rule: str
    status: Status
    triggered: int = 0
    violations: int = 0
    datapoints: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, float | int | str | bool | None] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the content of ``profiler-reports/<Rule>.json``, in AWS's schema.

        Source: smdebug/rules/rule.py of awslabs/sagemaker-debugger 1.0.34.
        """
        return {
            "RuleTriggered": self.triggered,
            "Violations": self.violations,
            "Details": dict(self.details),
            "Datapoints": self.datapoints,
            "RuleParameters": "\n".join(f"{key}:{value}" for key, value in self.parameters.items()),
        }

    def summary(self) -> dict[str, Any]:
        """Return the members of ``rules.json`` that the rule's text does not give."""
        return {
            "rule": self.rule,
            "status": self.status,
            "triggered": self.triggered,
            "violations": self.violations,
            "datapoints": self.datapoints,
            "parameters": dict(self.parameters),
            "details": dict(self.details),
            "marks": [asdict(mark) for mark in self.marks],
        }


def judged(
    rule: str,
    triggered: int,
    *,
    datapoints: int,
    details: Mapping[str, Any],
    violations: int | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> RuleResult:
    """Return the result of a rule that triggered so often; each one is a violation unless said.

    Give ``parameters`` where they were scaled; others are those that the rule is evaluated with.
    """
    return RuleResult(
        rule=rule,
        status="IssuesFound" if triggered else "NoIssuesFound",
        triggered=int(triggered),
        violations=int(triggered if violations is None else violations),
        datapoints=datapoints,
        details=details,
        parameters=parameters or {},
    )


def not_applicable(rule: str, reason: str) -> RuleResult:
    """Return the result of a rule that has nothing to examine, and why."""
    return RuleResult(rule=rule, status="NotApplicable", details={"reason": reason})
