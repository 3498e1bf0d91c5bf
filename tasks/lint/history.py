"""Lint a job's log after it ran: what the regexes read, and what the lines say themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sm_entrypoints.contract import MetricDefinition
from tasks.lint.findings import LintFinding, excerpt, worst_first
from tasks.lint.log_metrics import log_lines, series_from
from tasks.lint.metric_names import words
from tasks.lint.regexes import Metrics, Objective, lint_metrics, read_metrics
from tasks.lint.values import Measured, lint_values

# "Accuracy: 412/836 = 100%", "correct 412 / 836 (49%)"; not "acc 0.9, epoch 3/10".
_HITS = re.compile(
    r"(?:accura\w*|\bacc\b|correct|\bhits\b)(?P<between>[^/]{0,25}?)(?<![\d.])"
    r"(?P<hits>\d{1,15})\s*/\s*(?P<images>\d{1,15})(?![\d.]*/)"
    r"(?:\s*[=:,(]\s*\(?\s*(?P<percent>[\d.]+)\s*%)?",
    re.IGNORECASE,
)
_COUNTERS = re.compile(r"epoch|step|batch|iter", re.IGNORECASE)
_NOT_FINITE = re.compile(
    r"\b(?P<label>[\w: ]{0,40}?(?:loss|acc|accuracy)\w*)[\"']?\s*[:= ]\s*[\"']?"
    r"(nan|[-+]?inf(?:inity)?)\b",
    re.IGNORECASE,
)
# "best loss: inf" is how a script begins.
_BEST = {"best", "min", "lowest", "initial"}


def lint_history(
    log: str,
    definitions: Sequence[MetricDefinition],
    *,
    objective: Objective | None = None,
    classes: int | None = None,
) -> list[LintFinding]:
    """Return what is wrong with the metrics of a job that ended, worst first.

    Args:
        log: the job's whole log.
        definitions: SageMaker's MetricDefinitions, ``Name`` and ``Regex``.
        objective: what a search optimises, if there is one.
        classes: how many classes the data has; None skips the comparison with guessing.
    """
    metrics = read_metrics(definitions, objective, log_lines(log))
    measured = Measured(
        series=[series_from(name, readings) for name, readings in metrics.readings.items()],
        objective=objective.name if objective else None,
        classes=classes,
    )
    findings = [*lint_metrics(metrics), *lint_values(measured), *_fractions(metrics)]
    if not any(finding.code == "not-finite" for finding in findings):
        findings += _not_finite(metrics)
    return worst_first(findings)


def _not_finite(metrics: Metrics) -> Iterator[LintFinding]:
    bad = [
        line
        for line in metrics.lines
        for match in _NOT_FINITE.finditer(line)
        if not _BEST & set(words(match["label"]))
    ]
    if bad:
        yield LintFinding(
            code="not-finite",
            severity="error",
            message=f"A loss or an accuracy is not a finite number in {len(bad)} of "
            f"{len(metrics.lines)} lines: the training diverged.",
            evidence=excerpt(bad[0]),
            advice="Lower lr, or look for zeros under a logarithm or a division.",
        )


def _fractions(metrics: Metrics) -> Iterator[LintFinding]:
    """Find "412/836 = 100%" and "900/836": the numbers of one line contradict each other."""
    wrong: dict[str, list[str]] = {}
    for line in metrics.lines:
        for match in _HITS.finditer(line):
            code = _fraction_fault(match)
            if code:
                wrong.setdefault(code, []).append(line)
    for code, lines in wrong.items():
        above = code == "accuracy-above-100"
        where = f", in {len(lines)} of {len(metrics.lines)} lines"
        yield LintFinding(
            code=code,
            severity="error",
            message=f"More hits than images were counted{where}."
            if above
            else f"The percentage does not match the fraction beside it{where}.",
            evidence=excerpt(lines[0]),
            advice="Count each image once, and add up the hits of one epoch only."
            if above
            else "Compute 100.0 * hits / images as floats, and round only when printing.",
        )


def _fraction_fault(match: re.Match[str]) -> str | None:
    hits, images, percent = int(match["hits"]), int(match["images"]), match["percent"] or ""
    if images == 0 or _COUNTERS.search(match["between"]):
        return None
    if hits > images:
        return "accuracy-above-100"
    try:
        printed = float(percent)
    except ValueError:
        return None
    # Rounded or cut: less than one unit of the last digit apart.
    unit = 10.0 ** -len(percent.partition(".")[2])
    return "percentage-is-wrong" if abs(printed - 100 * hits / images) >= unit else None
