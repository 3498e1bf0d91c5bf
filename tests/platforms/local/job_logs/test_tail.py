"""`aws logs tail --follow`, whose calls the AWS CLI v2 makes through boto3's own model."""

from __future__ import annotations

from typing import Any

import pytest

from platforms.local.context import LocalContext
from tests.worlds.local.served import client, served

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
START = 1_790_000_000_000


@pytest.fixture
def context(context: LocalContext) -> LocalContext:
    """Two running jobs."""
    for name in ("one", "two"):
        created = "2026-09-21T13:33:20.000000+00:00"
        record = {"TrainingJobStatus": "InProgress", "CreationTime": created}
        context.records.create("training-jobs", name, record)
    return context


def write(context: LocalContext, name: str, after: int, text: str) -> None:
    """Append to a running job's log, and note the time as its supervisor does."""
    folder = context.records.folder("training-jobs", name)
    with (folder / "log.txt").open("ab") as log:
        log.write(text.encode())
        size = log.tell()
    with (folder / "log-times.txt").open("a") as times:
        times.write(f"{size} {(START + after) / 1000:.3f}\n")


class Tail:
    """What the CLI keeps between two polls: the newest time, and the ids seen at it."""

    def __init__(self, logs: Any, **asked: Any) -> None:
        self._logs, self._asked = logs, asked
        self._seen: dict[int, set[str]] = {}

    def poll(self) -> list[str]:
        """Ask until there is no token, then go on from the newest time."""
        lines, token = [], {}
        while True:
            page = self._logs.filter_log_events(**self._asked, **token)
            for event in page["events"]:
                ids = self._seen.setdefault(event["timestamp"], set())
                if event["eventId"] not in ids:
                    ids.add(event["eventId"])
                    lines.append(f"{event['logStreamName']} {event['message']}")
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        if self._seen:
            newest = max(self._seen)
            self._seen = {newest: self._seen[newest]}
            self._asked["startTime"] = newest
        return lines


@pytest.mark.parametrize("limit", [1, 10_000])
def test_following_shows_each_line_once(context: LocalContext, limit: int) -> None:
    write(context, "one", 0, "a\n")
    with served(context) as url:
        tail = Tail(
            client("logs", url),
            logGroupName=LOG_GROUP,
            interleaved=True,
            startTime=START,
            limit=limit,
        )
        assert tail.poll() == ["one/algo-1 a"]
        assert tail.poll() == []
        write(context, "two", 0, "b\nhalf of ")  # the same millisecond; a line that goes on
        write(context, "one", 10, "c\n")
        assert tail.poll() == ["two/algo-1 b", "one/algo-1 c"]
        write(context, "two", 20, "a line\n")
        write(context, "one", 20, "d\n")
        assert sorted(tail.poll()) == ["one/algo-1 d", "two/algo-1 half of a line"]
        assert tail.poll() == []
        narrow = Tail(
            client("logs", url),
            logGroupIdentifier=f"arn:aws:logs:local:000000000000:log-group:{LOG_GROUP}",
            logStreamNamePrefix="two/",
            filterPattern="line",
            startTime=START,
        )
        assert narrow.poll() == ["two/algo-1 half of a line"]
