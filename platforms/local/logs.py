"""``LocalLogs``: the operations of ``boto3.client("logs")`` that reading a job's log needs."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from platforms.client_errors import client_error
from platforms.local.context import ACCOUNT, LocalContext
from platforms.local.job_tree import HOST, JobTree
from platforms.local.records import Missing
from platforms.local.training_status import KIND, TERMINAL
from platforms.validation import validate

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
ENDPOINT_LOG_GROUPS = "/aws/sagemaker/Endpoints/"

# CloudWatch's own limits: events a page, and characters a message.
_PAGE = 10_000
_MESSAGE = 256 * 1024
# CloudWatch's own limit of streams a page.
_STREAMS = 50
# Where a line of the log begins, its length in bytes, and its event.
Line = tuple[int, int, dict[str, Any]]
_TOKEN = re.compile(r"([fb])/(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLogs:
    """Logs of training jobs, one stream a job: ``<training job name>/algo-1``."""

    context: LocalContext

    def filter_log_events(self, /, **request: Any) -> dict[str, Any]:
        """Return the lines of one job's log, oldest first, as CloudWatch Logs does.

        ``logStreamNamePrefix`` is the job's name, with or without what follows its slash.
        ``nextToken`` comes with every page but the last there is now. To follow a running job,
        ask again with ``startTime``: an event's time and ``eventId`` never change, and no later
        event has an earlier time.

        Raises:
            ClientError: ``ResourceNotFoundException``, no such log group or job;
                ``InvalidParameterException``, a token that is not ours.
        """
        validate("FilterLogEvents", request, "logs")
        name = request.get("logStreamNamePrefix", "").split("/")[0]
        tree, ended = self._find("FilterLogEvents", request, name)
        start = _offset(request)
        events: list[dict[str, Any]] = []
        size = min(request.get("limit", _PAGE), _PAGE)
        position = start
        more = False
        for offset, length, event in _events(tree, start, name, ended=ended):
            if len(events) == size:
                more = True
                break
            position = offset + length
            if _wanted(event, request):
                events.append(event)
        response: dict[str, Any] = {"events": events, "searchedLogStreams": []}
        if more:
            response["nextToken"] = f"{name}:{position}"
        return response

    def get_log_events(self, /, **request: Any) -> dict[str, Any]:
        """Return a page of one stream: the newest events, or the oldest with ``startFromHead``.

        A token that has nothing after it (or before it) comes back as it is, as in CloudWatch.

        Raises:
            ClientError: as :meth:`filter_log_events`.
        """
        operation = "GetLogEvents"
        validate(operation, request, "logs")
        name = request["logStreamName"].removesuffix(f"/{HOST}")
        tree, ended = self._find(operation, request, name)
        forward, offset = _direction(request)
        size = min(request.get("limit", _PAGE), _PAGE)
        lines = _events(tree, (offset or 0) if forward else 0, name, ended=ended)
        cut = _head if forward else _tail
        events, first, last = cut(lines, request, offset, size)
        kept = ("timestamp", "message", "ingestionTime")
        return {
            "events": [{key: event[key] for key in kept} for event in events],
            "nextForwardToken": f"f/{last}",
            "nextBackwardToken": f"b/{first}",
        }

    def describe_log_streams(self, /, **request: Any) -> dict[str, Any]:
        """Return a page of streams by name: one for every training job that has a log.

        Raises:
            ClientError: ``ResourceNotFoundException``, no such log group.
        """
        operation = "DescribeLogStreams"
        validate(operation, request, "logs")
        self._require_group(operation, request)
        prefix, after = request.get("logStreamNamePrefix", ""), request.get("nextToken", "")
        size = min(request.get("limit", _STREAMS), _STREAMS)
        names = [f"{name}/{HOST}" for name in self.context.records.names(KIND)]
        wanted = [name for name in names if name.startswith(prefix) and name > after]
        streams = [stream for name in wanted if (stream := self._stream(name))]
        response: dict[str, Any] = {"logStreams": streams[:size]}
        if len(streams) > size:
            response["nextToken"] = streams[size - 1]["logStreamName"]
        return response

    def _stream(self, name: str) -> dict[str, Any] | None:
        job = name.removesuffix(f"/{HOST}")
        tree = JobTree(folder=self.context.records.folder(KIND, job))
        _, times = _times(tree)
        if not tree.log.is_file():
            return None
        seen = {"firstEventTimestamp": times[0], "lastEventTimestamp": times[-1]} if times else {}
        arn = (
            f"arn:aws:logs:{self.context.region}:{ACCOUNT}:log-group:{LOG_GROUP}:log-stream:{name}"
        )
        return {"logStreamName": name, "arn": arn, **seen}

    def _require_group(self, operation: str, request: dict[str, Any]) -> None:
        group = request.get("logGroupName")
        if group == LOG_GROUP:
            return
        where = f"it is {LOG_GROUP!r}"
        endpoint = str(group).removeprefix(ENDPOINT_LOG_GROUPS)
        if endpoint != group and endpoint in self.context.records.names("endpoints"):
            # Errors of models name this group, as SageMaker's do.
            folder = self.context.records.folder("endpoints", endpoint)
            where = f"the log of this endpoint is {folder}/deployments/*/server.log"
        raise client_error(
            operation,
            "ResourceNotFoundException",
            f"The specified log group {group!r} does not exist; {where}.",
        )

    def _find(self, operation: str, request: dict[str, Any], name: str) -> tuple[JobTree, bool]:
        self._require_group(operation, request)
        try:
            status = self.context.records.read(KIND, name)["TrainingJobStatus"]
        except (Missing, ValueError) as error:
            raise client_error(
                operation,
                "ResourceNotFoundException",
                f"The specified log stream {name!r} does not exist; give a training job's name.",
            ) from error
        return JobTree(folder=self.context.records.folder(KIND, name)), status in TERMINAL


def _direction(request: dict[str, Any]) -> tuple[bool, int | None]:
    """Return whether to read forward, and from where; None stands for the stream's own end."""
    token = request.get("nextToken")
    if token is None:
        return bool(request.get("startFromHead", False)), None
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise client_error(
            "GetLogEvents",
            "InvalidParameterException",
            f"The specified nextToken is invalid: {token!r}.",
        )
    return match.group(1) == "f", int(match.group(2))


def _head(
    lines: Iterator[Line], request: dict[str, Any], start: int | None, size: int
) -> tuple[list[dict[str, Any]], int, int]:
    """Return the first events, and where they begin and end."""
    events: list[dict[str, Any]] = []
    position = start or 0
    for offset, length, event in lines:
        if len(events) == size:
            break
        position = offset + length
        if _wanted(event, request):
            events.append(event)
    return events, start or 0, position


def _tail(
    lines: Iterator[Line], request: dict[str, Any], stop: int | None, size: int
) -> tuple[list[dict[str, Any]], int, int]:
    """Return the last events before ``stop``, and where they begin and end."""
    kept: deque[Line] = deque(maxlen=size)
    position = 0
    for line in lines:
        if stop is not None and line[0] >= stop:
            break
        position = line[0] + line[1]
        if _wanted(line[2], request):
            kept.append(line)
    end = position if stop is None else stop
    return [event for _, _, event in kept], kept[0][0] if kept else 0, end


def _offset(request: dict[str, Any]) -> int:
    token = request.get("nextToken")
    if token is None:
        return 0
    number = token.rpartition(":")[2]
    if not number.isdecimal():
        raise client_error(
            "FilterLogEvents", "InvalidParameterException", f"nextToken {token!r} is not ours."
        )
    return int(number)


def _wanted(event: dict[str, Any], request: dict[str, Any]) -> bool:
    low, high = request.get("startTime"), request.get("endTime")
    after = low is None or event["timestamp"] >= low
    return after and (high is None or event["timestamp"] <= high)


def _events(tree: JobTree, start: int, name: str, *, ended: bool) -> Iterator[Line]:
    """Yield offset, length in bytes and event of each whole line from ``start`` on.

    A line is an event once its supervisor has seen it, so that its time never changes.
    """
    offsets, times = _times(tree)
    if not tree.log.is_file():
        return
    # A job that was never watched to its end (its supervisor died): the time of the last write.
    last = int(tree.log.stat().st_mtime * 1000)
    with tree.log.open("rb") as log:
        log.seek(start)
        offset = start
        for line in log:
            index = bisect_left(offsets, offset + len(line))
            if not ended and (index == len(offsets) or not line.endswith(b"\n")):
                return
            moment = times[index] if index < len(offsets) else last
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            yield (
                offset,
                len(line),
                {
                    "logStreamName": f"{name}/{HOST}",
                    "timestamp": moment,
                    "message": text[:_MESSAGE],
                    "ingestionTime": moment,
                    "eventId": f"{offset:056d}",
                },
            )
            offset += len(line)


def _times(tree: JobTree) -> tuple[list[int], list[int]]:
    """Return up to which offsets the log had been written at what times (unix milliseconds)."""
    try:
        text = tree.log_times.read_text(encoding="utf-8")
    except FileNotFoundError:
        return [], []
    pairs = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [int(offset) for offset, _ in pairs], [int(float(time) * 1000) for _, time in pairs]
