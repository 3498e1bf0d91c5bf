"""``LocalLogs``: the operations of ``boto3.client("logs")`` needed to read the logs of jobs."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from platforms.client_errors import client_error
from platforms.local.context import LocalContext
from platforms.local.honoured.members import accept
from platforms.local.job_logs import pages
from platforms.local.job_logs.groups import describe_groups, require_group
from platforms.local.job_logs.patterns import filter_pattern
from platforms.local.job_logs.streams import Event, LogGroup, Stream, stream_of, streams
from platforms.local.job_tree import HOST

OPERATIONS = ("describe_log_groups", "describe_log_streams", "filter_log_events", "get_log_events")

# CloudWatch's own limit of streams a page.
_STREAMS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLogs:
    """Logs of training and transform jobs, one stream a job: ``<name of the job>/algo-1``."""

    context: LocalContext

    def filter_log_events(self, /, **request: Any) -> dict[str, Any]:
        """Return events of all streams, of some, or of those with a prefix, the oldest first.

        ``nextToken`` comes with every page but the last there is now. To follow running jobs, ask
        again with ``startTime``: an event's time and ``eventId`` never change, and no later event
        of a stream has an earlier time.

        Raises:
            ClientError: ``ResourceNotFoundException``, no such log group or stream;
                ``InvalidParameterException``, a token or a pattern that cannot be read.
        """
        operation = "FilterLogEvents"
        accept("logs", operation, request)
        group = require_group(self.context, operation, request)
        matches = filter_pattern(request.get("filterPattern", ""))
        token = pages.merge_token(request)
        start = max(request.get("startTime", 0), token.time if token else 0)
        merged = heapq.merge(
            *(
                takewhile(_until(request), _from(stream, start, token))
                for stream in self._searched(operation, group, request)
            ),
            key=lambda event: event.order,
        )
        events, last = pages.first_page(merged, request, matches)
        response: dict[str, Any] = {
            "events": [event.as_answered() for event in events],
            "searchedLogStreams": [],
        }
        if last is not None:
            response["nextToken"] = pages.token_after(last)
        return response

    def get_log_events(self, /, **request: Any) -> dict[str, Any]:
        """Return a page of one stream: the newest events, or the oldest with ``startFromHead``.

        A token that has nothing after it (or before it) comes back unchanged, as in CloudWatch.

        Raises:
            ClientError: as :meth:`filter_log_events`.
        """
        operation = "GetLogEvents"
        accept("logs", operation, request)
        group = require_group(self.context, operation, request)
        stream = self._stream(operation, group, request["logStreamName"])
        forward, offset = pages.direction(request)
        lines = stream.events((offset or 0) if forward else 0)
        cut = pages.head if forward else pages.tail
        events, first, last = cut(lines, request, offset)
        kept = ("timestamp", "message", "ingestionTime")
        answered = [event.as_answered() for event in events]
        return {
            "events": [{key: event[key] for key in kept} for event in answered],
            "nextForwardToken": f"f/{last}",
            "nextBackwardToken": f"b/{first}",
        }

    def describe_log_groups(self, /, **request: Any) -> dict[str, Any]:
        """Return the log groups: those of training and of transform jobs, once there is one.

        Raises:
            ClientError: ``InvalidParameterException``, a prefix and a pattern.
        """
        accept("logs", "DescribeLogGroups", request)
        return describe_groups(self.context, request)

    def describe_log_streams(self, /, **request: Any) -> dict[str, Any]:
        """Return a page of streams, by name or by the time of their last event.

        Raises:
            ClientError: ``ResourceNotFoundException``, no such log group;
                ``InvalidParameterException``, a prefix with the order of ``LastEventTime``.
        """
        operation = "DescribeLogStreams"
        accept("logs", operation, request)
        group = require_group(self.context, operation, request)
        prefix = request.get("logStreamNamePrefix", "")
        by_time = request.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            raise client_error(
                operation,
                "InvalidParameterException",
                "Cannot order by LastEventTime with a logStreamNamePrefix.",
            )
        described = [self._described(group, each) for each in streams(self.context, group, prefix)]
        descending = bool(request.get("descending", False))
        key = "lastEventTimestamp" if by_time else "logStreamName"
        described.sort(
            key=lambda each: (each.get(key, 0), each["logStreamName"]), reverse=descending
        )
        size = min(request.get("limit", _STREAMS), _STREAMS)
        return pages.page_of_streams(described, request, size)

    def _described(self, group: LogGroup, stream: Stream) -> dict[str, Any]:
        span = stream.span()
        seen = (
            {
                "firstEventTimestamp": span[0],
                "lastEventTimestamp": span[1],
                "lastIngestionTime": span[1],
            }
            if span
            else {}
        )
        return {
            "logStreamName": stream.name,
            "arn": group.arn(self.context) + stream.arn_suffix,
            "creationTime": stream.created,
            "storedBytes": 0,
            **seen,
        }

    def _searched(
        self, operation: str, group: LogGroup, request: Mapping[str, Any]
    ) -> Iterator[Stream]:
        names, prefix = request.get("logStreamNames"), request.get("logStreamNamePrefix")
        if names is not None and prefix is not None:
            raise client_error(
                operation,
                "InvalidParameterException",
                "logStreamNames and logStreamNamePrefix cannot both be given.",
            )
        if names is None:
            return streams(self.context, group, prefix or "")
        return iter([self._stream(operation, group, name) for name in dict.fromkeys(names)])

    def _stream(self, operation: str, group: LogGroup, name: str) -> Stream:
        job = name.removesuffix(f"/{HOST}")
        stream = stream_of(self.context, group, job)
        if stream is not None and stream.name == name:
            return stream
        hint = f"; did you mean {stream.name!r}?" if stream else "; DescribeLogStreams lists them."
        raise client_error(
            operation,
            "ResourceNotFoundException",
            f"The specified log stream {name!r} does not exist{hint}",
        )


def _from(stream: Stream, start: int, token: pages.MergeToken | None) -> Iterator[Event]:
    """Yield what a page may hold of a stream: from a time on, and after the page before."""
    if token and token.stream == stream.name:
        first = token.offset
    else:
        first = stream.offset_at(start) if start else 0
    for event in stream.events(first):
        if event.time < start:
            continue
        if token and (event.time, stream.name) < (token.time, token.stream):
            continue
        yield event


def _until(request: Mapping[str, Any]) -> Any:
    end = request.get("endTime")
    return lambda event: end is None or event.time <= end
