"""Lint the values of metrics: could a correct measurement have given these numbers?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sm_entrypoints import contract
from sm_entrypoints.contract.sentences import counted
from tasks.lint.findings import LintFinding, Severity
from tasks.lint.log_metrics import Series
from tasks.lint.metric_names import is_top_k, kind_of, split_of

# Digits that are zero by chance: one time in 10,000.
_SUSPICIOUS_ZEROS = 4
# Float sums of shares may end at 1.0000001, of percentages at 100.00001.
_ROUNDING = 1e-4
# A loss that is guessing's own, but for its digits, is not worse.
_NO_BETTER = 1.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The metrics of one job: their values in order, the objective's name, the classes."""

    series: Sequence[Series]
    objective: str | None = None
    classes: int | None = None

    def severity(self, name: str) -> Severity:
        """Return ``error`` for the objective, and for all while no objective is named."""
        return "error" if self.objective in (None, name) else "warning"

    def of_kind(self, kind: str) -> list[Series]:
        """Return the series of losses or of accuracies that have finite values."""
        return [each for each in self.series if kind_of(each.name) == kind and each.finite]


def lint_values(measured: Measured) -> list[LintFinding]:
    """Return what is wrong with the values of a job's metrics.

    Top-k accuracies count as accuracies. Losses are taken for mean cross-entropies of
    classification, in nats: what compares them with a bound says so.
    """
    return [
        *_not_finite(measured),
        *_impossible_accuracies(measured),
        *_scales(measured),
        *_rounded(measured),
        *_worse_than_chance(measured),
        *_too_small(measured),
    ]


def _not_finite(measured: Measured) -> Iterator[LintFinding]:
    for series in measured.series:
        bad = [text for text in series.texts if not math.isfinite(float(text))]
        if bad:
            yield LintFinding(
                code="not-finite",
                severity="error",
                message=f"{series.name!r} is not a finite number in {len(bad)} of "
                f"{counted(len(series.texts), 'value')}: the training diverged.",
                evidence=f"first: {bad[0]}",
                advice="Lower lr, or look for zeros under a logarithm or a division.",
            )


def _impossible_accuracies(measured: Measured) -> Iterator[LintFinding]:
    for series in measured.of_kind("accuracy"):
        top, shares = max(series.finite), [v for v in series.finite if v <= 1]
        if top > 100 + _ROUNDING:
            yield LintFinding(
                code="accuracy-above-100",
                severity="error",
                message=f"{series.name!r} is above 100%: more hits than images.",
                evidence=f"highest value: {top:g}",
                advice="Divide the number of hits by the number of images, not of batches.",
            )
        elif 1 + _ROUNDING < top <= 2 and shares:
            yield LintFinding(
                code="accuracy-above-1",
                severity="warning",
                message=f"{series.name!r} exceeds 1, which is impossible for a share of hits.",
                evidence=f"lowest value: {min(shares):g}, highest: {top:g}",
                advice="Divide the hits by the number of images; if these were percentages, "
                "the model would hit next to nothing.",
            )
        elif top == 0 == min(series.finite):
            yield LintFinding(
                code="accuracy-always-0",
                severity="warning",
                message=f"{series.name!r} is always exactly 0: fewer hits than by guessing.",
                evidence=f"values: {len(series.finite)}",
                advice="Compare predicted and true labels by eye, and divide as floats.",
            )


def _scales(measured: Measured) -> Iterator[LintFinding]:
    highest = [(each.name, max(each.finite)) for each in measured.of_kind("accuracy")]
    shares = [(name, top) for name, top in highest if 0 < top <= 1]
    percents = [(name, top) for name, top in highest if 2 < top <= 100 + _ROUNDING]
    if shares and percents:
        yield LintFinding(
            code="accuracy-scales-differ",
            severity="warning",
            message=f"{shares[0][0]!r} is a share of 0 to 1, {percents[0][0]!r} is a percentage.",
            evidence=f"highest values: {shares[0][1]:g} and {percents[0][1]:g}",
            advice="Print both on one scale.",
        )


def _rounded(measured: Measured) -> Iterator[LintFinding]:
    for series in measured.of_kind("loss"):
        values, decimals = series.finite, series.decimals
        zeros = sum(decimals) if len(values) < 3 else _SUSPICIOUS_ZEROS
        if all(value == int(value) for value in values) and zeros >= _SUSPICIOUS_ZEROS:
            yield _rounding(measured, series, "is always a whole number", worst=True)
        elif measured.objective not in (None, series.name):
            continue
        elif len(values) >= 3 and max(decimals) <= 2:
            yield _rounding(measured, series, f"has at most {max(decimals)} decimals")
        elif len(values) >= 5 and max(decimals) <= 4 and len(set(values)) <= len(values) - 2:
            yield _rounding(measured, series, f"is printed with {max(decimals)} decimals: it ties")
    for series in measured.of_kind("accuracy"):
        whole = len(series.finite) >= 3 and max(series.finite) > 2 and not any(series.decimals)
        if whole and measured.objective == series.name:
            yield _rounding(measured, series, "is in whole percentages")


def _rounding(measured: Measured, series: Series, how: str, *, worst: bool = False) -> LintFinding:
    return LintFinding(
        code="rounded",
        severity=measured.severity(series.name) if worst else "warning",
        message=f"{series.name!r} {how}: a search cannot tell better from worse.",
        evidence=f"printed: {', '.join(list(series.texts)[:5])}",
        advice="Divide as floats and print every digit (repr), not '%d' or '%.2f'."
        if worst
        else "Print every digit (repr), not '%.2f'.",
    )


def _judged(measured: Measured) -> list[Series]:
    """Return the losses that tell how good the model is: the objective, else valid and test."""
    losses = measured.of_kind("loss")
    chosen = [each for each in losses if each.name == measured.objective]
    held_out = [each for each in losses if split_of(each.name) != contract.TRAIN_CHANNEL]
    return chosen or held_out or losses


def _worse_than_chance(measured: Measured) -> Iterator[LintFinding]:
    if not measured.classes or measured.classes < 2:
        return
    chance = math.log(measured.classes)
    for series in _judged(measured):
        best = min(series.finite)
        if best <= chance * _NO_BETTER:
            continue
        yield LintFinding(
            code="worse-than-chance",
            # A short or unlucky training may end a little above; not at twice as much.
            severity="error" if best > 2 * chance else "warning",
            message=f"The best {series.name!r} is worse than guessing: a uniform guess over "
            f"{measured.classes} classes has a loss of ln({measured.classes}) = "
            f"{chance:.2f}.",
            evidence=f"best of {len(series.finite)}: {best:.4g}, {best / chance:.3f} times that",
            advice="Average the loss over images (not a sum over batches); if it is averaged, "
            "lower lr, train longer, and check labels and normalisation.",
        )


def _too_small(measured: Measured) -> Iterator[LintFinding]:
    """Find losses that are smaller than their own mistakes allow.

    Who errs gave the true class at most half of the probability, which costs at least ln 2: a mean
    cross-entropy is never below (1 - accuracy) x ln 2.
    """
    accuracies = _plain_accuracies(measured)
    for series in _judged(measured):
        accuracy = accuracies.get(split_of(series.name))
        if accuracy is None or split_of(series.name) == contract.TRAIN_CHANNEL:
            continue
        wrong = 1 - accuracy.finite[-1] / (100 if max(accuracy.finite) > 2 else 1)
        least, last = wrong * math.log(2), series.finite[-1]
        if 0.02 < wrong <= 1 and 0 <= last < least / 2:
            yield LintFinding(
                code="loss-scales-with-batch",
                severity="warning",
                message=f"{series.name!r} is too small for its mistakes: {wrong:.1%} wrong "
                f"answers mean a cross-entropy of {least:.3f} or more, so it was divided "
                "twice, as by a sum of batch means over the number of images.",
                evidence=f"last {series.name} {last:g}, last {accuracy.name} "
                f"{accuracy.finite[-1]:g}",
                advice="Sum up loss x batch size and divide by the number of images: otherwise "
                "a larger batch_size looks better than it is.",
            )


def _plain_accuracies(measured: Measured) -> Mapping[str | None, Series]:
    return {
        split_of(each.name): each
        for each in reversed(measured.of_kind("accuracy"))
        if not is_top_k(each.name)
    }
