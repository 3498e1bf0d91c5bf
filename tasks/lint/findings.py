"""The results of the objective lint: findings, their severity, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from dashboards.artifacts.tables import markdown_table

Severity = Literal["error", "warning"]

# An excerpt of a log in a table must not be a page.
_MOST_EVIDENCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One thing that is wrong with an objective, its metrics or their data.

    ``code`` is stable (``regex-matches-nothing``). ``error``: what was measured is not what it
    claims to be, so a search on it is money lost; ``warning``: worth a look. ``message`` is a
    sentence, ``evidence`` what was seen (a line, a value), ``advice`` what to do.
    """

    code: str
    severity: Severity
    message: str
    evidence: str
    advice: str

    def to_dict(self) -> dict[str, str]:
        """Return the finding as plain JSON values."""
        return asdict(self)


def excerpt(text: str) -> str:
    """Return ``text`` as one short line, for evidence; control characters are written out."""
    line = " ".join(text.split())
    line = "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)
    return line if len(line) <= _MOST_EVIDENCE else f"{line[: _MOST_EVIDENCE - 1]}…"


def worst_first(findings: Iterable[LintFinding]) -> list[LintFinding]:
    """Return every finding once, errors before warnings, otherwise in the order given."""
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.severity != "error")


def errors(findings: Iterable[LintFinding]) -> list[LintFinding]:
    """Return the findings of severity ``error``."""
    return [finding for finding in findings if finding.severity == "error"]


def lint_markdown(sections: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """Return the artifact of all findings of a run so far, by the stage that was linted."""
    parts = ["# Objective lint", "Are the numbers what they claim to be?", ""]
    columns = ["severity", "code", "message", "evidence", "advice"]
    for stage, findings in sections.items():
        parts += [f"## {stage.capitalize()}", ""]
        parts.append(markdown_table(findings, columns) if findings else "Nothing found.\n")
    return "\n".join(parts)


# The best trial says this of itself, wherever it is shown.
EDGE_CODE = "optimum-at-edge"
