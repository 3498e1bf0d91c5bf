"""Lint how a metric's regex reads a number: all of it, a part of it, or too slowly.

The service reads only what the first group matches: ``loss=([0-9.]+)`` reads 3.2 from
``loss=3.2e-02``, and a search then looks for the worst loss. The value alone does not reveal this;
the characters beside the group do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from platforms.metric_regexes import MetricRegex, MetricRegexError
from tasks.lint.log_metrics import Reading, number_in

# Reads every number that Python prints, and no full stop after it.
NUMBER_GROUP = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
_NUMBER = re.compile(
    r"(?<![\w.])(?:(?<![-+])[-+])?"
    r"(?:[1-9]\d{0,2}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
)
_SMALL, _PLAIN = "3.2e-02", "0.3456"
# What may follow a number in a log.
_TAILS = ("", " ", ", ", ";", ",", "%", ")", "]", "}", '"', "'", " (", "/", "\t", " end")
# A parenthesis that is escaped, or in a set, opens and closes nothing.
_TOKENS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
_CAPTURES = re.compile(r"\((?!\?)|\(\?P<")
_GREEDY_END = re.compile(r"(?<!\\)\.[*+]$")


class Cut(NamedTuple):
    """A number that is printed, and the text that a regex reads from it; None: nothing at all."""

    printed: str
    read: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A regex around its first group."""

    before: str
    group: str
    after: str

    def mended(self) -> str:
        """Return the regex with a group for any number, and nothing before it that eats digits."""
        return f"{_GREEDY_END.sub(lambda end: end[0] + '?', self.before)}{NUMBER_GROUP}{self.after}"


def parts(text: str) -> Parts | None:
    """Split a regex at its first group that captures; None when it has none."""
    start, depth = None, 0
    for token in _TOKENS.finditer(text):
        if token[0] not in ("(", ")"):
            continue
        if start is not None:
            depth += 1 if token[0] == "(" else -1
            if depth < 0:
                group = text[start : token.end()]
                return Parts(before=text[:start], group=group, after=text[token.end() :])
        elif _CAPTURES.match(text, token.start()):
            start = token.start()
    return None


def cut_by_design(text: str) -> Cut | None:
    """Return a number that a regex is bound to misread, whatever the log is like.

    A loss of 0.032 may be printed as ``3.2e-02``; Python prints small numbers so by itself.
    """
    regex_parts = parts(text)
    if regex_parts is None or "|" in regex_parts.before + regex_parts.after:
        return None
    if _GREEDY_END.search(regex_parts.before):
        read = _read(f".*{regex_parts.group}{regex_parts.after}", _PLAIN)
        if read and read[0] != _PLAIN:
            return Cut(_PLAIN, read[0])
    return _small_number(f"{regex_parts.group}{regex_parts.after}")


def _small_number(rest: str) -> Cut | None:
    for tail in _TAILS:
        plain = _read(rest, _PLAIN + tail)
        found = number_in(plain[0]) if plain else None
        if plain and found is not None and not (math.isnan(found) or _same(plain[0], _PLAIN)):
            return Cut(_PLAIN, plain[0])
        if plain and plain[0] == _PLAIN:
            small = _read(rest, _SMALL + tail)
            read = small[0] if small else None
            return None if read is not None and _same(read, _SMALL) else Cut(_SMALL, read)
    return None


def _read(regex: str, line: str) -> tuple[str, int, int] | None:
    try:
        return next(MetricRegex(f"^(?:{regex})").matches(line), None)
    except MetricRegexError:  # what stood before the group belongs to it (a back-reference)
        return None


def cut_reading(reading: Reading) -> Cut | None:
    """Return the number that a line has where a regex read a part of it."""
    if reading.value is None:
        return None
    for number in _NUMBER.finditer(reading.line):
        if number.start() < reading.end and number.end() > reading.start:
            whole = number[0]
            return None if _same(reading.text, whole) else Cut(whole, reading.text)
    return None


def _same(text: str, number: str) -> bool:
    return number_in(text) == float(number.replace(",", ""))


def advice(text: str, cut: Cut, line: str | None = None) -> str:
    """Say which regex reads the number right: one that was tried on the line, where there is one.

    Args:
        text: the regex that does not.
        cut: what it misreads.
        line: where that stood.
    """
    if "," in cut.printed:
        return "Print the number without thousands separators: no regex can read it as one number."
    regex_parts = parts(text)
    mended = regex_parts.mended() if regex_parts else ""
    if regex_parts and line is None:
        return f"Use {mended}"
    if regex_parts and line is not None and reads(mended, line, cut.printed):
        return f"Use {mended}"
    return f"In the regex, name what precedes the number, and read it with {NUMBER_GROUP}."


def text_advice(regex: str, bad: Reading) -> str:
    """Say what to do about a regex whose group reads text that is not a number."""
    if bad.text.startswith("tensor("):
        return "Print loss.item(), not the tensor."
    split, number = parts(regex), re.search(NUMBER_GROUP, bad.text)
    if split and number and reads(split.mended(), bad.line, number[0]):
        return f"Use {split.mended()}"
    return f"Let the group match only the number: {NUMBER_GROUP}."


def reads(text: str, line: str, number: str) -> bool:
    """Tell whether a regex reads a number from a line."""
    try:
        return any(_same(read, number) for read, _, _ in MetricRegex(text).matches(line))
    except MetricRegexError:
        return False


def runaways(regexes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the names of regexes that can take any time, with the start of such a line."""
    for name, text in regexes.items():
        try:
            line = MetricRegex(text).runaway_line()
        except MetricRegexError:
            continue
        if line is not None:
            yield name, f"{line[:20]}…{line[-1]} ({len(line)} characters)"
