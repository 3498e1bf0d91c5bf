"""CloudWatch's filter patterns: terms, phrases, ``?either``, ``-not`` and JSON patterns."""

from __future__ import annotations

import re
from collections.abc import Callable

from botocore.exceptions import ClientError

from platforms.client_errors import client_error
from platforms.local.honoured.naming import warn_of
from platforms.local.job_logs.json_patterns import JsonPatternError, json_pattern
from sm_entrypoints.contract.sentences import ended

Matcher = Callable[[str], bool]

_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)')
_PLAIN = re.compile(r"\w+")


def filter_pattern(pattern: str) -> Matcher:
    """Return what tells whether a message matches a pattern; an empty one matches everything.

    Terms are searched for in the message literally, and case-sensitively.

    Raises:
        ClientError: ``InvalidParameterException``: it cannot be read, or is of a kind that this
            platform does not have: ``%regex%`` and ``[fields, by, space]``.
    """
    stripped = pattern.strip()
    if stripped.startswith("{"):
        try:
            return json_pattern(stripped)
        except JsonPatternError as error:
            raise _refused(pattern, str(error)) from error
    if stripped.startswith("["):
        raise _refused(pattern, "patterns of space-delimited fields are not available here")
    if re.search(r"(^|\s)[?-]?%.*%(\s|$)", stripped):
        raise _refused(pattern, "regular expressions (%…%) are not available here")
    return _terms(pattern, stripped)


def _terms(pattern: str, stripped: str) -> Matcher:
    wanted: dict[str, list[str]] = {"": [], "?": [], "-": []}
    position = 0
    while position < len(stripped):
        match = _TERM.match(stripped, position)
        if match is None:
            raise _refused(pattern, f"cannot read it from {stripped[position:][:40]!r} on")
        sign, quoted, plain = match.groups()
        if plain is not None and not _PLAIN.fullmatch(plain):
            raise _refused(
                pattern, f"Invalid character(s) in term {plain!r}: put it in quotation marks"
            )
        wanted[sign].append(plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        position = (
            match.end() + len(stripped[match.end() :]) - len(stripped[match.end() :].lstrip())
        )
    every, some, none = wanted[""], wanted["?"], wanted["-"]
    if some and (every or none):
        # As in CloudWatch, where it says nothing.
        left_out = {f"filterPattern ?{term}": True for term in some}
        warn_of("FilterLogEvents", left_out, left_out)
        some = []

    def matches(message: str) -> bool:
        return (
            all(term in message for term in every)
            and not any(term in message for term in none)
            and (not some or any(term in message for term in some))
        )

    return matches


def _refused(pattern: str, why: str) -> ClientError:
    return client_error(
        "FilterLogEvents",
        "InvalidParameterException",
        f"Invalid filter pattern {pattern!r}: {ended(why)}",
    )
