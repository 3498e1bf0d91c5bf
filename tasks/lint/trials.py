"""What the trials of a search show one by one, said once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sm_entrypoints.contract.sentences import counted
from tasks.lint.findings import LintFinding

# What one trial shows may be the search's own doing: it tries a lr that is too high, too, and who
# diverged prints no objective.
_SEARCHED = {"not-finite", "worse-than-chance", "regex-matches-nothing"}


def merge_trials(histories: Mapping[str, Sequence[LintFinding]]) -> list[LintFinding]:
    """Return each kind of finding once, with the trials that show it.

    What a search brings about by itself, such as a trial that diverged, is a warning unless every
    trial shows it.
    """
    by_code: dict[str, dict[str, LintFinding]] = {}
    for name, findings in histories.items():
        for finding in findings:
            by_code.setdefault(finding.code, {}).setdefault(name, finding)
    merged = []
    for code, by_trial in by_code.items():
        first, names = next(iter(by_trial.values())), list(by_trial)
        excused = code in _SEARCHED and len(by_trial) < len(histories)
        where = f"{len(by_trial)} of {counted(len(histories), 'trial')}, first {names[0]}"
        merged.append(
            replace(
                first,
                severity="warning" if excused else first.severity,
                evidence=f"{where}: {first.evidence}",
            )
        )
    return merged
