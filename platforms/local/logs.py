"""``LocalLogs``: the one operation of ``boto3.client("logs")`` that following a job needs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from platforms.client_errors import client_error
from platforms.local.context import LocalContext
from platforms.local.job_tree import HOST, JobTree
from platforms.local.records import Missing
from platforms.local.training_status import KIND, TERMINAL
from platforms.validation import validate

LOG_GROUP = "/aws/sagemaker/TrainingJobs"

# CloudWatch's own limits: events a page, and characters a message.
_PAGE = 10_000
_MESSAGE = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLogs:
    """Logs of training jobs, one stream a job: ``<training job name>/algo-1``."""

    context: LocalContext

    def filter_log_events(self, **request: Any) -> dict[str, Any]:
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
        tree, ended = self._find(request, name)
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

    def _find(self, request: dict[str, Any], name: str) -> tuple[JobTree, bool]:
        operation = "FilterLogEvents"
        group = request.get("logGroupName")
        if group != LOG_GROUP:
            raise client_error(
                operation,
                "ResourceNotFoundException",
                f"The specified log group {group!r} does not exist; it is {LOG_GROUP!r}.",
            )
        try:
            status = self.context.records.read(KIND, name)["TrainingJobStatus"]
        except (Missing, ValueError) as error:
            raise client_error(
                operation,
                "ResourceNotFoundException",
                f"The specified log stream {name!r} does not exist; give a training job's name.",
            ) from error
        return JobTree(folder=self.context.records.folder(KIND, name)), status in TERMINAL


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


def _events(
    tree: JobTree, start: int, name: str, *, ended: bool
) -> Iterator[tuple[int, int, dict[str, Any]]]:
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
