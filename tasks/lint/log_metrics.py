"""Numbers that metric definitions read from a log, as SageMaker reads them: regex by line.

SageMaker searches every line with each definition's regex and takes the first group as the value;
for a training job's objective the last value counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from platforms.metric_regexes import MOST_CHARACTERS, MetricRegex, MetricRegexError
from sm_entrypoints.contract import MetricDefinition
from tasks.lint.metric_names import nearest_split


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One match of a regex: the line, the text of its first group, and its number. ``value`` is
    None if the text is not a number, and may be NaN or infinite. ``split`` is the split (``train``,
    ``valid``, ``test``) that the line names last before the number. ``first`` is False for a second
    and later match on one line. ``start`` and ``end`` are where the group's text lies in the line.
    """

    line: str
    text: str
    start: int
    end: int
    value: float | None
    split: str | None
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The values of one metric in the order of the log, each as it was printed."""

    name: str
    texts: Sequence[str]

    @property
    def values(self) -> list[float]:
        """The numbers, NaN and infinities among them."""
        return [float(text) for text in self.texts]

    @property
    def finite(self) -> list[float]:
        """The finite numbers."""
        return [value for value in self.values if math.isfinite(value)]

    @property
    def decimals(self) -> list[int]:
        """Decimals that each finite number was printed with; many when it has an exponent."""
        return [_decimals(text) for text in self.texts if math.isfinite(float(text))]


def series_of(name: str, values: Iterable[float]) -> Series:
    """Return a series of floats, as full precision prints them."""
    return Series(name=name, texts=[repr(float(value)) for value in values])


def log_lines(text: str) -> list[str]:
    """Return the lines of a log that are not blank; a progress bar's rewrites are lines too."""
    return [line[:MOST_CHARACTERS] for line in re.split(r"[\r\n]+", text) if line.strip()]


def compiled(definitions: Iterable[MetricDefinition]) -> dict[str, MetricRegex]:
    """Return the usable regexes by metric name: those that compile and have a group."""
    regexes = {}
    for definition in definitions:
        try:
            regexes[definition["Name"]] = MetricRegex(definition["Regex"])
        except MetricRegexError:
            continue
    return regexes


def readings(pattern: MetricRegex, lines: Iterable[str]) -> list[Reading]:
    """Return every match of ``pattern`` in the lines, in order; none once it was too slow."""
    matches = []
    for line in lines:
        for number, (text, start, end) in enumerate(pattern.matches(line)):
            reading = Reading(
                line=line,
                text=text.strip(),
                start=start,
                end=end,
                value=number_in(text),
                split=nearest_split(line[:start]),
                first=number == 0,
            )
            matches.append(reading)
    return matches


def series_from(name: str, found: Iterable[Reading]) -> Series:
    """Return the numbers among the readings of a metric."""
    return Series(name=name, texts=[each.text for each in found if each.value is not None])


def number_in(text: str) -> float | None:
    """Return the number that a text is, if it is one."""
    try:
        return float(text)
    except ValueError:
        return None


def _decimals(text: str) -> int:
    mantissa, _, exponent = text.lower().partition("e")
    return 17 if exponent else len(mantissa.partition(".")[2])
