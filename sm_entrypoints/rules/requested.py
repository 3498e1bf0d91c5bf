"""Judge a job by the rules that its request names, with the request's parameters.

A CreateTrainingJob request may ask for one rule several times, under names of the user's choice.
The findings are written for DescribeTrainingJob: :data:`contract.REQUESTED_RULES_FILE`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sm_entrypoints.contract import PROFILER_REPORT_RULE
from sm_entrypoints.rules.catalogue import PROFILER_RULES, RULES_BY_NAME
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.judgement import Parameters, evaluate_rule
from sm_entrypoints.rules.result import RuleResult
from sm_entrypoints.rules.rule import Rule
from sm_entrypoints.rules.tensor.rules import WATCHES

# SageMaker's own, which say how a rule is run, not what it finds.
_HOW = frozenset({"rule_to_invoke", "scan_interval_us", "base_trial", "action_json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedRule:
    """A rule configuration of a request: ``parameters`` are its RuleParameters, all strings."""

    name: str
    rule: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> RequestedRule:
        """Return what a JSON object of ``name``, ``rule`` and ``parameters`` says."""
        parameters = {str(key): str(value) for key, value in document["parameters"].items()}
        return cls(name=document["name"], rule=document["rule"], parameters=parameters)


def judge_requested(
    evidence: Evidence, requested: Sequence[RequestedRule], parameters: Parameters
) -> list[dict[str, Any]]:
    """Return what each requested rule found, in the order of the requests.

    ``reports`` of an entry are the documents of its ``profiler-reports`` folder by rule, in AWS's
    schema; ``status`` is NotApplicable, with a ``reason``, where a rule has nothing to examine, or
    too little: then ``recorded`` is true.

    Args:
        evidence: what the job left.
        requested: rules that :data:`contract.RULES` or ``PROFILER_REPORT_RULE`` name.
        parameters: by rule, thresholds for this job; those of a request go before.
    """
    return [_judge(evidence, each, parameters) for each in requested]


def _judge(evidence: Evidence, requested: RequestedRule, parameters: Parameters) -> dict[str, Any]:
    is_report = requested.rule == PROFILER_REPORT_RULE
    rules = PROFILER_RULES if is_report else (RULES_BY_NAME[requested.rule],)
    used: set[str] = set()
    results = []
    for rule in rules:
        own = dict(_asked(rule, requested.parameters, prefixed=is_report, used=used))
        changed = {**rule.parameters, **parameters.get(rule.name, {}), **own}
        results.append(evaluate_rule(rule, evidence, changed))
    return {
        "name": requested.name,
        "rule": requested.rule,
        **(_report_outcome(results) if is_report else _outcome(results[0])),
        "recorded": _is_recorded(evidence, requested.rule),
        "unused": sorted(set(requested.parameters) - used - _HOW),
        "reports": {result.rule: result.document() for result in results},
    }


def _is_recorded(evidence: Evidence, rule: str) -> bool:
    """Tell whether anything that a tensor rule uses was saved, even if too little to judge."""
    collections = next((watch.collections for watch in WATCHES if watch.rule == rule), ())
    return any(record.collection in collections for record in evidence.records)


def _asked(
    rule: Rule, texts: Mapping[str, str], *, prefixed: bool, used: set[str]
) -> Iterator[tuple[str, Any]]:
    """Yield the thresholds of a rule that a request gives; note in ``used`` which they were.

    Those of a ProfilerReport are ``<Rule>_<parameter>``.
    """
    for name, default in rule.parameters.items():
        key = f"{rule.name}_{name}" if prefixed else name
        value = _value(texts.get(key), default)
        if value is not None:
            used.add(key)
            yield name, value


def _value(text: str | None, default: Any) -> Any:
    """Return a parameter in the type of its default; None when it is not of that type."""
    if text is None or text == "None":
        return None
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text.strip().lower())
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() and not isinstance(default, float) else number


def _outcome(result: RuleResult) -> dict[str, Any]:
    mark = result.marks[0] if result.marks else None
    return {
        "status": result.status,
        "triggered": result.triggered,
        "reason": result.details.get("reason"),
        "step": None if mark is None else mark.step,
        "message": None if mark is None else mark.message,
    }


def _report_outcome(results: Sequence[RuleResult]) -> dict[str, Any]:
    """Return the outcome of a ProfilerReport: the issues of the rules that it consists of."""
    issues = [result for result in results if result.status == "IssuesFound"]
    judged = any(result.status != "NotApplicable" for result in results)
    names = ", ".join(f"{result.rule} ({result.triggered})" for result in issues)
    return {
        "status": "IssuesFound" if issues else "NoIssuesFound" if judged else "NotApplicable",
        "triggered": sum(result.triggered for result in issues),
        "reason": None if judged else "neither the system nor the steps were recorded",
        "step": None,
        "message": f"rules that triggered: {names}" if names else None,
    }
