"""Read SageMaker's own ProfilerReport: the findings of its rules, one JSON file per rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sm_entrypoints.contract import REPORT_ORIGIN
from sm_entrypoints.rules.evidence import ForeignRule
from sm_entrypoints.rules.reading import is_number, read_object

_MOST_BYTES = 5_000_000
_COUNTS = ("RuleTriggered", "Violations", "Datapoints")


def sagemaker_rules(folders: Sequence[Path]) -> Iterator[ForeignRule]:
    """Yield the rules in the folders ``profiler-reports``; for duplicates, the worse one. Files
    that are not such a report, are too large, or are links are skipped.
    """
    by_name: dict[str, ForeignRule] = {}
    for path in sorted(path for folder in folders for path in folder.glob("*.json")):
        rule = _rule(path)
        if rule is not None and rule.triggered >= by_name.get(rule.rule, rule).triggered:
            by_name[rule.rule] = rule
    yield from by_name.values()


def _rule(path: Path) -> ForeignRule | None:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return None
    document: dict[str, Any] = read_object(path) or {}
    if REPORT_ORIGIN in document:  # the local platform's, by the rules that judge here too
        return None
    counts = [document.get(name) for name in _COUNTS]
    if not all(is_number(count) and count >= 0 for count in counts):
        return None
    triggered, violations, datapoints = (int(count) for count in counts if is_number(count))
    lines = str(document.get("RuleParameters") or "").splitlines()
    pairs = (line.partition(":") for line in lines)
    return ForeignRule(
        rule=path.stem,
        triggered=triggered,
        violations=violations,
        datapoints=datapoints,
        parameters={name.strip(): value.strip() for name, _, value in pairs},
    )
