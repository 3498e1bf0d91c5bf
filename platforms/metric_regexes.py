"""Regexes of ``MetricDefinitions``: compiled once, with a time limit for every match.

A user's regex may backtrack without end (``(a+)+$``). Whoever follows a running job must still be
able to enforce the job's time limit, so a line that takes too long counts as one without a match.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import regex  # type: ignore[import-untyped]  # A match of ``re`` cannot be given up.

# Longer lines hold no metric that a person wrote.
MOST_CHARACTERS = 20_000
# A sound regex searches the longest line in a few milliseconds.
LINE_SECONDS = 0.1
_SLOW_SECONDS = 0.01
# So much time is lost to slow lines before a regex is given up.
_PATIENCE_SECONDS = 1.0
_ESCAPED: Any = regex.compile(r"\\.")
# What a line must begin with for the rest of a regex to be tried at all.
_LEADING: Any = regex.compile(r"[\w :=,-]*+(?![*?{])|")


class MetricRegexError(ValueError):
    """Raised when a text is not a valid regex, or has no group to read a value from."""


class MetricRegex:
    """A regex whose first group is a metric's value.

    ``given_up`` tells that lines took too long, and that it matches nothing from then on.

    Raises:
        MetricRegexError: it does not compile, or has no group.
    """

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        self.text = text
        self.given_up = False
        self._patience = _PATIENCE_SECONDS
        try:
            self._pattern: Any = regex.compile(text, regex.IGNORECASE if ignore_case else 0)
        except regex.error as error:
            raise MetricRegexError(f"is not a valid regex: {error}") from error
        if not self._pattern.groups:
            raise MetricRegexError("has no group to read the value from")

    def matches(self, line: str) -> Iterator[tuple[str, int, int]]:
        """Yield the first group of each match in a line: its text, where it starts and ends.

        Only the first 20,000 characters are searched, and a tenth of a second at most.
        """
        if self.given_up:
            return
        began = time.perf_counter()
        try:
            matches = list(self._pattern.finditer(line[:MOST_CHARACTERS], timeout=LINE_SECONDS))
        except TimeoutError:
            matches = []
        spent = time.perf_counter() - began
        if spent > _SLOW_SECONDS:
            self._patience -= spent
            self.given_up = self._patience < 0
        for match in matches:
            if match.group(1) is not None:  # a group of the other alternative
                yield match.group(1), match.start(1), match.end(1)

    def searched(self, line: str) -> bool:
        """Tell whether it matches anywhere in a line."""
        return any(True for _ in self.matches(line))

    def runaway_line(self) -> str | None:
        """Return a line that this regex cannot be done with in time, if one is easily found."""
        start = _LEADING.match(self.text)[0]
        letters = dict.fromkeys(_ESCAPED.sub("", self.text) + "a0 .")
        for each in [each for each in letters if each.isalnum() or each in " .:=-"][:40]:
            line = f"{start}{each * 4_000}\N{SECTION SIGN}"
            try:
                self._pattern.search(line, timeout=LINE_SECONDS)
            except TimeoutError:
                return line
        return None
