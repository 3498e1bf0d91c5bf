"""Pages of summaries as SageMaker's ``list_*`` operations return them: filtered, sorted, cut.

A page's token names the item after which the next page starts. Items that appear or disappear
between two pages therefore never duplicate or hide another item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.utils import parse_to_aware_datetime

from platforms.client_errors import client_error
from platforms.local.page_tokens import read_token, token_of

Summary = dict[str, Any]

# SageMaker's own when MaxResults is not given.
_DEFAULT_MAX_RESULTS = 10
_TIMES = ("CreationTime", "LastModifiedTime")


def listing(
    member: str,
    name_key: str,
    summaries: Iterable[Summary],
    request: Mapping[str, Any],
    *,
    defaults: tuple[str, str] = ("CreationTime", "Descending"),
    sort_keys: Mapping[str, Callable[[Summary], Any]] | None = None,
) -> dict[str, Any]:
    """Return ``{member: [...], "NextToken": ...}`` for the request of a ``list_*`` operation.

    Honours ``NameContains``, ``StatusEquals``, ``CreationTimeAfter/Before``,
    ``LastModifiedTimeAfter/Before``, ``SortBy``, ``SortOrder``, ``MaxResults``, ``NextToken``.

    Args:
        defaults: ``SortBy`` and ``SortOrder`` when the request says nothing.
        sort_keys: how to sort by anything but ``Name``, ``CreationTime`` and ``Status``.

    Raises:
        ClientError: ``ValidationException``, a token that is not one of ours.
    """
    by = request.get("SortBy", defaults[0])
    descending = request.get("SortOrder", defaults[1]) == "Descending"
    key = (sort_keys or {}).get(by) or _sort_key(by, name_key)

    def position(summary: Summary) -> tuple[Any, str]:
        return key(summary), summary[name_key]

    kept = [each for each in summaries if _matches(each, name_key, request)]
    kept.sort(key=position, reverse=descending)
    if "NextToken" in request:
        kept = _behind(request["NextToken"], kept, position, descending=descending)
    size = request.get("MaxResults", _DEFAULT_MAX_RESULTS)
    page: dict[str, Any] = {member: kept[:size]}
    if len(kept) > size:
        page["NextToken"] = token_of(position(kept[size - 1]))
    return page


def status_of(summary: Summary) -> str:
    """Return the status of a summary of any kind; empty for kinds that have none."""
    return next((str(summary[key]) for key in summary if key.endswith("Status")), "")


def _sort_key(by: str, name_key: str) -> Callable[[Summary], Any]:
    if by == "Name":
        return lambda summary: summary[name_key]
    if by == "Status":
        return status_of
    return lambda summary: summary[by].timestamp()


def _matches(summary: Summary, name_key: str, request: Mapping[str, Any]) -> bool:
    if request.get("NameContains", "") not in summary[name_key]:
        return False
    if "StatusEquals" in request and status_of(summary) != request["StatusEquals"]:
        return False
    return all(_in_time(summary.get(key), key, request) for key in _TIMES)


def _in_time(time: datetime | None, key: str, request: Mapping[str, Any]) -> bool:
    after, before = request.get(f"{key}After"), request.get(f"{key}Before")
    if time is None:
        return after is None and before is None
    if after is not None and time <= parse_to_aware_datetime(after):
        return False
    return before is None or time < parse_to_aware_datetime(before)


def _behind(
    token: str,
    sorted_: Sequence[Summary],
    position: Callable[[Summary], tuple[Any, str]],
    *,
    descending: bool,
) -> list[Summary]:
    """Return the summaries behind the one that a token names."""
    try:
        key, name = read_token(token)
        last = (key, name)
        return [
            each
            for each in sorted_
            if (position(each) < last if descending else position(each) > last)
        ]
    # Also a token of a listing that was sorted by something else.
    except (ValueError, TypeError) as error:
        raise client_error(
            "List",
            "ValidationException",
            f"Invalid NextToken {token!r}; start from the first page.",
        ) from error
