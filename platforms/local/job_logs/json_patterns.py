"""Filter patterns for JSON: ``{ $.epoch > 3 && $.name = "valid*" }``."""

from __future__ import annotations

import fnmatch
import json
import operator
import re
from collections.abc import Callable
from typing import Any

from platforms.errors import WhippetError

Test = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<selector>\$(?:\.[\w-]+|\["[^"]+"\]|\['[^']+'\]|\[\d+\])*)
      | (?P<operator>!=|<=|>=|=|<|>)
      | (?P<joint>&&|\|\||\(|\))
      | "(?P<quoted>(?:[^"\\]|\\.)*)"
      | (?P<word>[^\s()&|=<>!"]+)
    )""",
    re.VERBOSE,
)
_STEP = re.compile(r"""\.([\w-]+)|\["([^"]+)"\]|\['([^']+)'\]|\[(\d+)\]""")
_ORDERED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_DEEPEST = 50
_ABSENT = object()


class JsonPatternError(WhippetError):
    """Raised when a pattern of JSON cannot be read; says where."""


def json_pattern(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a message is JSON that a pattern in braces matches.

    Raises:
        JsonPatternError: it cannot be read.
    """
    if not pattern.endswith("}"):
        raise JsonPatternError("it must end with }")
    reader = _Reader(pattern[1:-1])
    test = reader.either(0)
    reader.require_end()

    def matches(message: str) -> bool:
        try:
            value = json.loads(message)
        except (ValueError, RecursionError):
            return False
        return isinstance(value, dict | list) and test(value)

    return matches


class _Reader:
    """Reads a pattern from left to right; ``&&`` binds closer than ``||``."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        position, text = 0, text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise JsonPatternError(f"cannot read it from {text[position:][:40]!r} on")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        self._next = 0

    def either(self, depth: int) -> Test:
        tests = [self._both(depth)]
        while self._take("joint", "||"):
            tests.append(self._both(depth))
        return lambda value: any(test(value) for test in tests)

    def _both(self, depth: int) -> Test:
        tests = [self._one(depth)]
        while self._take("joint", "&&"):
            tests.append(self._one(depth))
        return lambda value: all(test(value) for test in tests)

    def _one(self, depth: int) -> Test:
        if self._take("joint", "("):
            if depth >= _DEEPEST:
                raise JsonPatternError(f"it is nested deeper than {_DEEPEST}")
            test = self.either(depth + 1)
            if not self._take("joint", ")"):
                raise JsonPatternError("a closing bracket is missing")
            return test
        kind, selector = self._any("a selector such as $.name")
        if kind != "selector":
            raise JsonPatternError(f"{selector!r} is not a selector such as $.name")
        return self._comparison(_steps(selector))

    def _comparison(self, steps: list[str | int]) -> Test:
        kind, text = self._any("an operator")
        if kind == "operator":
            how, wanted = self._any("a value")
            if how not in {"quoted", "word"}:
                raise JsonPatternError(f"{wanted!r} is no value")
            return _compared(steps, text, wanted, quoted=how == "quoted")
        words = (text.upper(), self._any("NULL, TRUE, FALSE or EXISTS")[1].upper())
        tests: dict[tuple[str, str], Test] = {
            ("IS", "NULL"): lambda found: found is None,
            ("IS", "TRUE"): lambda found: found is True,
            ("IS", "FALSE"): lambda found: found is False,
            ("NOT", "EXISTS"): lambda found: found is _ABSENT,
        }
        if words not in tests:
            raise JsonPatternError(f"{' '.join(words)!r} is not an operator")
        return lambda value: tests[words](_found(value, steps))

    def require_end(self) -> None:
        if self._next < len(self._tokens):
            raise JsonPatternError(f"{self._tokens[self._next][1]!r} is unexpected")

    def _take(self, kind: str, text: str) -> bool:
        here = self._tokens[self._next : self._next + 1] == [(kind, text)]
        self._next += here
        return here

    def _any(self, what: str) -> tuple[str, str]:
        if self._next >= len(self._tokens):
            raise JsonPatternError(f"it ends where {what} is expected")
        self._next += 1
        return self._tokens[self._next - 1]


def _steps(selector: str) -> list[str | int]:
    groups = (match.groups() for match in _STEP.finditer(selector))
    return [int(g[3]) if g[3] else g[0] or g[1] or g[2] for g in groups]


def _found(value: Any, steps: list[str | int]) -> Any:
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def _compared(steps: list[str | int], how: str, wanted: str, *, quoted: bool) -> Test:
    number = None if quoted else _number(wanted)
    if how in _ORDERED:
        if number is None:
            raise JsonPatternError(f"{wanted!r} is not a number, as {how} requires")
        return lambda value: (
            _is_number(member := _found(value, steps)) and _ORDERED[how](member, number)
        )
    text = re.sub(r"\\(.)", r"\1", wanted) if quoted else wanted

    def equal(found: Any) -> bool:
        if number is not None and _is_number(found):
            return bool(found == number)
        # Only * has a meaning.
        glob = re.sub(r"([?[])", r"[\1]", text)
        return isinstance(found, str) and fnmatch.fnmatchcase(found, glob)

    if how == "=":
        return lambda value: equal(_found(value, steps))
    return lambda value: (member := _found(value, steps)) is not _ABSENT and not equal(member)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
