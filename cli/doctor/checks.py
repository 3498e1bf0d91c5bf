"""The results of ``whippet doctor``: one check per line, each with what to do about it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["passed", "warning", "failed"]

_MARKS: dict[Outcome, str] = {"passed": "✓", "warning": "!", "failed": "✗"}
_NAME_WIDTH = 21
_LINE_WIDTH = 100
_DETAIL_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was checked.

    Attributes:
        found: a sentence about the result. advice: what to do; for warnings and failures. detail:
        lines to show as they are, such as the end of a traceback.
    """

    name: str
    outcome: Outcome
    found: str
    advice: str = ""
    detail: tuple[str, ...] = ()


def passed(name: str, found: str) -> Check:
    """Return a check that went well."""
    return Check(name=name, outcome="passed", found=found)


def warning(name: str, found: str, advice: str) -> Check:
    """Return a check that does not stop anybody."""
    return Check(name=name, outcome="warning", found=found, advice=advice)


def failed(name: str, found: str, advice: str, detail: Iterable[str] = ()) -> Check:
    """Return a check that must be put right; of ``detail`` the last lines are kept."""
    lines = tuple(line.rstrip() for line in detail)[-_DETAIL_LINES:]
    return Check(name=name, outcome="failed", found=found, advice=advice, detail=lines)


def print_checks(title: str, checks: Iterable[Check]) -> list[Check]:
    """Print checks as they come, under a title; return them."""
    print(f"{title}:", flush=True)
    done = []
    for check in checks:
        print("\n".join(_lines(check)), flush=True)
        done.append(check)
    return done


def print_verdict(checks: Sequence[Check]) -> None:
    """Print how many checks passed, and how many did not."""
    count = {outcome: 0 for outcome in _MARKS}
    for check in checks:
        count[check.outcome] += 1
    print(f"{count['passed']} passed, {count['warning']} warned, {count['failed']} failed")


def _lines(check: Check) -> list[str]:
    head = f"  {_MARKS[check.outcome]} {check.name.ljust(_NAME_WIDTH)} "
    margin = " " * len(head)
    lines = _wrapped(check.found, head, margin) or [head.rstrip()]
    lines += [f"{margin}| {line}" for line in check.detail]
    return lines + _wrapped(check.advice, f"{margin}→ ", f"{margin}  ")


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        _LINE_WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
