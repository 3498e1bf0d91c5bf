"""Lint metric definitions: does the objective read the number that it is meant to read?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from platforms.metric_regexes import MetricRegex, MetricRegexError
from sm_entrypoints import contract
from sm_entrypoints.contract.sentences import ended
from tasks.lint.findings import LintFinding, Severity, excerpt
from tasks.lint.log_metrics import Reading, compiled, readings
from tasks.lint.metric_names import kind_of, split_of, words
from tasks.lint.metric_numbers import (
    NUMBER_GROUP,
    advice,
    cut_by_design,
    cut_reading,
    runaways,
    text_advice,
)

# Beside these, a part of a regex may mean something else than alone.
_CONTEXT = re.compile(r"\||\(\?[!<=]|\\$|\[[^\]]*$")

# What turns a terminal's colours on and off.
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What a search optimises; ``type`` is SageMaker's, None when there is no search."""

    name: str
    type: Literal["Minimize", "Maximize"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Metric definitions with the lines that they are tried on.

    ``lines`` are those of a log, or samples of what the script prints; none skips what needs them.
    ``too_slow`` are the metrics whose regexes could not be done with those lines in time.
    """

    definitions: Sequence[contract.MetricDefinition]
    objective: Objective | None = None
    lines: Sequence[str] = ()
    readings: Mapping[str, list[Reading]] = field(default_factory=dict)
    too_slow: frozenset[str] = frozenset()

    @property
    def regexes(self) -> dict[str, str]:
        """The regex of each metric by its name."""
        return {each["Name"]: each["Regex"] for each in self.definitions}

    def is_objective(self, name: str) -> bool:
        """Say whether this is the metric that a search optimises."""
        return self.objective is not None and self.objective.name == name

    def severity(self, name: str) -> Severity:
        """Return how bad it is when this metric is wrong: an error for the objective only."""
        return "error" if self.is_objective(name) else "warning"


def read_metrics(
    definitions: Sequence[contract.MetricDefinition],
    objective: Objective | None = None,
    lines: Sequence[str] = (),
) -> Metrics:
    """Return the metrics with what each usable regex reads from the lines."""
    usable = compiled(definitions)
    return Metrics(
        definitions=definitions,
        objective=objective,
        lines=lines,
        readings={name: readings(regex, lines) for name, regex in usable.items()},
        too_slow=frozenset(name for name, regex in usable.items() if regex.given_up),
    )


def lint_metrics(metrics: Metrics) -> list[LintFinding]:
    """Return what is wrong with the definitions and the choice of the objective."""
    flaws = [*_objective_findings(metrics), *_broken(metrics), *_contained(metrics)]
    flaws += [*_slow(metrics), *_bound_to_cut(metrics)]
    if metrics.lines:
        flaws += [*_silent(metrics), *_not_numbers(metrics), *_ambiguous(metrics), *_cut(metrics)]
    return flaws


def _objective_findings(metrics: Metrics) -> Iterator[LintFinding]:
    objective, names = metrics.objective, list(metrics.regexes)
    if objective is None:
        return
    if objective.name not in names:
        # SageMaker's built-in algorithms have definitions of their own.
        yield LintFinding(
            code="objective-not-defined",
            severity="error" if names else "warning",
            message=f"The objective {objective.name!r} is not among the metric definitions.",
            evidence=f"defined: {', '.join(names) or 'none'}",
            advice="Add a definition with its name, or choose one of those as the objective.",
        )
    yield from _direction(objective)
    yield from _test_objective(metrics, objective)


def _direction(objective: Objective) -> Iterator[LintFinding]:
    kind = kind_of(objective.name)
    wanted = {"loss": "Minimize", "accuracy": "Maximize"}.get(kind or "")
    if wanted and objective.type and objective.type != wanted:
        yield LintFinding(
            code="objective-direction",
            severity="error",
            message=f"The search would look for the worst {objective.name!r}.",
            evidence=f"Type={objective.type} for {'a loss' if kind == 'loss' else 'an accuracy'}",
            advice=f"Set the objective's Type to {wanted}.",
        )


def _test_objective(metrics: Metrics, objective: Objective) -> Iterator[LintFinding]:
    regex = metrics.regexes.get(objective.name, "")
    last = [each.split for each in metrics.readings.get(objective.name, [])][-1:]
    if contract.TEST_CHANNEL not in (split_of(objective.name), split_of(regex), *last):
        return
    others = [
        name
        for name, each in metrics.regexes.items()
        if name != objective.name and contract.VALID_CHANNEL in (split_of(name), split_of(each))
    ]
    yield LintFinding(
        code="objective-is-test",
        severity="error" if others else "warning",
        message=f"The objective {objective.name!r} is measured on the test split: the chosen "
        "model would be fitted to it, and no honest test would remain.",
        evidence=f"regex {regex}" if regex else f"name {objective.name}",
        advice=f"Use {others[0]!r} as the objective."
        if others
        else "Hold out a validation split, print its metric, and use that one.",
    )


def _broken(metrics: Metrics) -> Iterator[LintFinding]:
    for name, regex in metrics.regexes.items():
        try:
            MetricRegex(regex)
        except MetricRegexError as error:
            yield LintFinding(
                code="regex-no-group" if "no group" in str(error) else "regex-invalid",
                severity="error",
                message=f"The regex of {name!r} {ended(error)}",
                evidence=regex,
                advice=f"Put parentheses around the number, such as 'loss: {NUMBER_GROUP}'.",
            )


def _slow(metrics: Metrics) -> Iterator[LintFinding]:
    slow_lines = dict(runaways(metrics.regexes))
    for name in metrics.too_slow | set(slow_lines):
        met = name in metrics.too_slow
        yield LintFinding(
            code="regex-too-slow",
            severity=metrics.severity(name) if met else "warning",
            message=f"The regex of {name!r} backtracks: "
            + ("lines of this log take" if met else "a line can take")
            + " longer than a job runs, so the job abandons it.",
            evidence=excerpt(f"{metrics.regexes[name]} ; on {slow_lines.get(name, 'the log')}"),
            advice="Do not nest repetitions, as in (a+)+; name what precedes the number, and "
            f"read the number with {NUMBER_GROUP}.",
        )


def _bound_to_cut(metrics: Metrics) -> Iterator[LintFinding]:
    """Find an objective's regex that no small number gets through, before any line is there."""
    for name, regex in metrics.regexes.items():
        cut = cut_by_design(regex)
        # What a log shows counts for more than what it might have shown.
        if cut is None or not metrics.is_objective(name) or metrics.readings.get(name):
            continue
        read = f"reads {cut.read} from {cut.printed}"
        yield LintFinding(
            code="regex-cuts-numbers",
            severity="warning",
            message=f"The regex of {name!r} {read if cut.read else f'cannot read {cut.printed}'}: "
            + ("the search would take that as its value." if cut.read else "no value at all."),
            evidence=regex,
            advice=f"{advice(regex, cut)} or print the metric as '%.6f'.",
        )


def _cut(metrics: Metrics) -> Iterator[LintFinding]:
    """Find a group that ends, or begins, in the middle of a number."""
    for name, metric_readings in metrics.readings.items():
        cuts = [(each, cut) for each in metric_readings if (cut := cut_reading(each)) is not None]
        if not cuts:
            continue
        reading, cut = cuts[-1]
        yield LintFinding(
            code="regex-cuts-numbers",
            severity=metrics.severity(name),
            message=f"The regex of {name!r} reads {cut.read} from {cut.printed}, a part of the "
            f"number, in {len(cuts)} of {len(metric_readings)} matches.",
            evidence=excerpt(f"{metrics.regexes[name]} ; {reading.line}"),
            advice=advice(metrics.regexes[name], cut, reading.line),
        )


def _contained(metrics: Metrics) -> Iterator[LintFinding]:
    """Find a regex that matches wherever another metric's does, such as "loss: (...)"."""
    for name, regex in metrics.regexes.items():
        other = next((o for o, r in metrics.regexes.items() if _is_inside(regex, r)), None)
        if other:
            evidence = f"{regex} is a part of {metrics.regexes[other]}"
            yield _alike(metrics, name, evidence, f"also what {other!r} reads")


def _is_inside(regex: str, other: str) -> bool:
    before, inner, after = other.partition(regex)
    if not inner or other == regex or not regex:
        return False
    alone = not _CONTEXT.search(before) and not re.match(r"[*+?{]|.*\|", after)
    return alone and "|" not in regex


def _alike(metrics: Metrics, name: str, evidence: str, what: str) -> LintFinding:
    return LintFinding(
        code="regex-ambiguous",
        severity="warning",
        message=f"The regex of {name!r} reads {what}; SageMaker takes the last number"
        f"{' as the objective' if metrics.is_objective(name) else ''}.",
        evidence=excerpt(evidence),
        advice="Put text that precedes only this number into the regex, such as 'Valid.*? "
        f"loss: {NUMBER_GROUP}'.",
    )


def _silent(metrics: Metrics) -> Iterator[LintFinding]:
    speaks = any(metrics.readings.values())
    for name, metric_readings in metrics.readings.items():
        regex = metrics.regexes[name]
        # Ours reads what train.py writes; what it does not print (no test split) is no mistake.
        ours = name in contract.METRIC_NAMES and regex == contract.metric_regex(name)
        if metric_readings or (ours and speaks and not metrics.is_objective(name)):
            continue
        line, advice = _near_miss(regex, name, metrics.lines)
        yield LintFinding(
            code="regex-matches-nothing",
            severity=metrics.severity(name) if speaks else "error",
            message=f"The regex of {name!r} matches nothing in {len(metrics.lines)} lines.",
            evidence=f"{regex} ; nearest line: {excerpt(line)}" if line else regex,
            advice=advice,
        )


def _near_miss(regex: str, name: str, lines: Sequence[str]) -> tuple[str, str]:
    """Return the line that was probably meant, and what to do."""
    careless = MetricRegex(regex, ignore_case=True)
    for line in lines:
        if careless.searched(line):
            return line, "Use the same capital and small letters as the log."
        if _COLOUR.search(line) and careless.searched(_COLOUR.sub("", line)):
            return line, "Print without colour codes: they come between the words and the number."
    wanted = set(words(regex)) | set(words(name))
    numbers = [line for line in lines if re.search(r"\d", line)]
    best = max(numbers, key=lambda line: len(wanted & set(words(line))), default="")
    if not wanted & set(words(best)):
        return "", "Print the metric, or model the regex on a line that the log really has."
    return best, "Model the regex on that line, including blanks and punctuation."


def _not_numbers(metrics: Metrics) -> Iterator[LintFinding]:
    for name, metric_readings in metrics.readings.items():
        bad = [each for each in metric_readings if each.value is None]
        if bad:
            yield LintFinding(
                code="regex-not-a-number",
                severity=metrics.severity(name),
                message=f"The regex of {name!r} reads text that is not a number, in {len(bad)} "
                f"of {len(metric_readings)} matches.",
                evidence=excerpt(f"{bad[0].text!r} from {bad[0].line}"),
                advice=text_advice(metrics.regexes[name], bad[0]),
            )


def _ambiguous(metrics: Metrics) -> Iterator[LintFinding]:
    for name, metric_readings in metrics.readings.items():
        splits = {each.split: each for each in reversed(metric_readings)}
        if kind_of(name) and len(splits) > 1:
            named = " and of ".join(sorted(split or "no named split" for split in splits))
            shown = " ; ".join(excerpt(each.line) for each in splits.values())
            yield _alike(metrics, name, shown, f"numbers of {named} indiscriminately")
            continue
        again = [each for each in metric_readings if not each.first]
        if again:
            yield _alike(metrics, name, again[0].line, "several numbers in one line")
