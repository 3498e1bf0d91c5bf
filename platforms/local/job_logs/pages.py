"""Pages of events and streams, and the tokens that lead from one to the next."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from platforms.client_errors import client_error
from platforms.local.job_logs.streams import Event
from platforms.local.page_tokens import read_token, token_of

# CloudWatch's own limits of a page: events, and bytes with 26 for each event.
_EVENTS, _BYTES, _OVERHEAD = 10_000, 1024 * 1024, 26
_TOKEN = re.compile(r"([fb])/(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeToken:
    """After which event of all streams the next page begins; ``offset`` is that of its end."""

    time: int
    stream: str
    offset: int


def first_page(
    found: Iterable[Event], request: Mapping[str, Any], matches: Callable[[str], bool]
) -> tuple[list[Event], Event | None]:
    """Return the first events that match, and the last one examined if there are more."""
    size, room = min(request.get("limit", _EVENTS), _EVENTS), _BYTES
    kept: list[Event] = []
    last: Event | None = None
    for event in found:
        if matches(event.message):
            room -= len(event.message.encode("utf-8", "replace")) + _OVERHEAD
            if len(kept) == size or (kept and room < 0):
                return kept, last
            kept.append(event)
        last = event
    return kept, None


def token_after(event: Event) -> str:
    """Return the token of the page that begins after an event."""
    return token_of([event.time, event.stream, event.end])


def merge_token(request: Mapping[str, Any]) -> MergeToken | None:
    """Return where a page of events of many streams begins; None for the first one.

    Raises:
        ClientError: ``InvalidParameterException``, the token is not one of ours.
    """
    if "nextToken" not in request:
        return None
    parts = _decode("FilterLogEvents", request["nextToken"])
    if isinstance(parts, list) and list(map(type, parts)) == [int, str, int] and parts[2] >= 0:
        return MergeToken(time=parts[0], stream=parts[1], offset=parts[2])
    raise _invalid("FilterLogEvents", request["nextToken"])


def direction(request: Mapping[str, Any]) -> tuple[bool, int | None]:
    """Return whether to read forward, and from where; None stands for the stream's own end.

    Raises:
        ClientError: ``InvalidParameterException``, the token is not one of ours.
    """
    token = request.get("nextToken")
    if token is None:
        return bool(request.get("startFromHead", False)), None
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise _invalid("GetLogEvents", token)
    return match.group(1) == "f", int(match.group(2))


def head(
    lines: Iterator[Event], request: Mapping[str, Any], start: int | None
) -> tuple[list[Event], int, int]:
    """Return the first events, and where they begin and end."""
    size, room = min(request.get("limit", _EVENTS), _EVENTS), _BYTES
    events: list[Event] = []
    position = start or 0
    for event in lines:
        if _wanted(event, request):
            room -= event.length + _OVERHEAD
            if len(events) == size or (events and room < 0):
                break
            events.append(event)
        position = event.end
    return events, start or 0, position


def tail(
    lines: Iterator[Event], request: Mapping[str, Any], stop: int | None
) -> tuple[list[Event], int, int]:
    """Return the last events before ``stop``, and where they begin and end."""
    kept: deque[Event] = deque(maxlen=min(request.get("limit", _EVENTS), _EVENTS))
    position = size = 0
    for event in lines:
        if stop is not None and event.offset >= stop:
            break
        position = event.end
        if not _wanted(event, request):
            continue
        size += event.length + _OVERHEAD
        if len(kept) == kept.maxlen:
            size -= kept[0].length + _OVERHEAD
        kept.append(event)
        while size > _BYTES and len(kept) > 1:
            size -= kept.popleft().length + _OVERHEAD
    return list(kept), kept[0].offset if kept else 0, position if stop is None else stop


def page_of_streams(
    items: list[dict[str, Any]], request: Mapping[str, Any], size: int
) -> dict[str, Any]:
    """Return a page of sorted streams; its token names the last one.

    Raises:
        ClientError: ``InvalidParameterException``, the token names none.
    """
    first = 0
    if "nextToken" in request:
        names = [each["logStreamName"] for each in items]
        last = _decode("Describe", request["nextToken"])
        if last not in names:
            raise _invalid("Describe", request["nextToken"])
        first = names.index(last) + 1
    page: dict[str, Any] = {"logStreams": items[first : first + size]}
    if len(items) > first + size:
        page["nextToken"] = token_of(items[first + size - 1]["logStreamName"])
    return page


def _wanted(event: Event, request: Mapping[str, Any]) -> bool:
    low, high = request.get("startTime"), request.get("endTime")
    return (low is None or event.time >= low) and (high is None or event.time < high)


def _decode(operation: str, token: str) -> Any:
    try:
        return read_token(token)
    except ValueError as error:
        raise _invalid(operation, token) from error


def _invalid(operation: str, token: str) -> Exception:
    return client_error(
        operation, "InvalidParameterException", f"The specified nextToken is invalid: {token!r}."
    )
