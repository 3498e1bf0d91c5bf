"""Judge a finished job from its files: every rule, the report's files, and the verdict.

The same code judges a job when it ends and a folder that was imported later.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sm_entrypoints.contract import (
    INSTRUMENTATION_FOLDER,
    RULE_REPORTS_FOLDER,
    RULES_FILE,
    VERDICT_FILE,
)
from sm_entrypoints.contract.choices import RuleAction
from sm_entrypoints.contract.files import write_text
from sm_entrypoints.contract.rule_actions import action_of
from sm_entrypoints.job.containment import Containment
from sm_entrypoints.rules.catalogue import RULES, RULES_BY_NAME
from sm_entrypoints.rules.evidence import Evidence, ForeignRule
from sm_entrypoints.rules.reading import read_evidence
from sm_entrypoints.rules.result import RuleResult, not_applicable
from sm_entrypoints.rules.rule import Rule
from sm_entrypoints.rules.verdict.verdict import Verdict, reach_verdict

Parameters = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All rules' results, those that triggered most first, and the verdict."""

    evidence: Evidence
    results: Sequence[RuleResult]
    verdict: Verdict


def judge(
    output_folder: Path,
    *,
    actions: Mapping[str, RuleAction] | None = None,
    parameters: Parameters | None = None,
    others: Sequence[Path] = (),
    theirs: Sequence[ForeignRule] = (),
) -> Verdict:
    """Judge the job that left ``output_folder``, and write what was found into it.

    Writes ``profiler-output/profiler-reports/<Rule>.json``, ``instrumentation/rules.json`` and
    ``instrumentation/verdict.json``. Rules with the action ``off`` are not evaluated.

    Args:
        output_folder: what becomes ``output.tar.gz``.
        actions: by rule; the others warn.
        parameters: by rule, thresholds that replace its own.
        others: output folders of other jobs, which SimilarAcrossRuns compares this one with.
        theirs: what SageMaker's own report on the job says.

    Raises:
        OSError: a file cannot be read or written.

    Example:
        >>> from sm_entrypoints.rules.judgement import judge
        >>> judge(output_folder, actions={"Overtraining": "off"}).sentence
        'No verdict: the job left no data.'
        >>> sorted(path.name for path in (output_folder / "instrumentation").iterdir())
        ['rules.json', 'verdict.json']
    """
    compared = [read_evidence(folder).records for folder in others]
    evidence = replace(read_evidence(output_folder), others=compared, theirs=theirs)
    judgement = judge_evidence(evidence, actions=actions, parameters=parameters)
    write_judgement(output_folder, judgement, actions or {})
    return judgement.verdict


def judge_evidence(
    evidence: Evidence,
    *,
    actions: Mapping[str, RuleAction] | None = None,
    parameters: Parameters | None = None,
) -> Judgement:
    """Evaluate every rule and reach the verdict; writes nothing.

    A rule that fails does not apply, for that reason.
    """
    chosen, changed = actions or {}, parameters or {}
    results = [
        not_applicable(rule.name, "switched off")
        if action_of(chosen, rule.name) == "off"
        else evaluate_rule(rule, evidence, {**rule.parameters, **changed.get(rule.name, {})})
        for rule in RULES
    ]
    results.sort(key=lambda result: (-result.triggered, result.rule))
    verdict = reach_verdict(evidence, {result.rule: result for result in results})
    return Judgement(evidence=evidence, results=results, verdict=verdict)


def evaluate_rule(rule: Rule, evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Return what a rule finds; one that fails does not apply, for that reason."""
    containment = Containment(f"rule {rule.name}", on_failure=lambda: None)
    result = containment.attempt(rule.evaluate, evidence, parameters)
    if result is None:
        result = not_applicable(rule.name, f"the rule failed: {containment.failure}")
    # As in AWS's reports, a rule with nothing to look at says its thresholds all the same.
    return result if result.parameters else replace(result, parameters=dict(parameters))


def announce_verdict(output_folder: Path, actions: Mapping[str, RuleAction] | None = None) -> None:
    """Judge a job at its end and print the verdict; never raises, never ends the job."""
    containment = Containment("the verdict", on_failure=lambda: None)
    verdict = containment.attempt(judge, output_folder, actions=actions)
    if verdict is not None:
        change = verdict.finding.change or {}
        ready = "".join(f" [{name}={value}]" for name, value in change.items())
        print(f"verdict: {verdict.sentence}{ready}", flush=True)


def write_judgement(
    output_folder: Path, judgement: Judgement, actions: Mapping[str, RuleAction]
) -> None:
    """Write the files of a judgement below an output folder, each of them whole or not at all.

    Raises:
        OSError: a file cannot be written.
    """
    reports = output_folder / RULE_REPORTS_FOLDER
    for result in judgement.results:
        _write(reports / f"{result.rule}.json", result.document())
    rows = [_row(result, RULES_BY_NAME[result.rule], actions) for result in judgement.results]
    inside = output_folder / INSTRUMENTATION_FOLDER
    stopped_by = judgement.evidence.job.get("stopped_by")
    _write(inside / RULES_FILE, {"rules": rows, "stopped_by": stopped_by})
    _write(inside / VERDICT_FILE, judgement.verdict.document())


def _row(result: RuleResult, rule: Rule, actions: Mapping[str, RuleAction]) -> dict[str, Any]:
    return {
        **result.summary(),
        "kind": rule.kind,
        "description": rule.description,
        "threshold": rule.threshold,
        "recommendation": rule.recommendation,
        "action": action_of(actions, rule.name),
    }


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def plain(value: Any) -> Any:
    """Return a value as JSON has it: NumPy's numbers as Python's, what is not finite as None."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
