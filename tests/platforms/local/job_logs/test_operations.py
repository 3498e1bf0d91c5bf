"""Logs of several jobs, as the AWS CLI, the SDKs and notebooks ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from platforms.local.context import LocalContext, local_context
from platforms.local.job_logs.operations import LocalLogs
from platforms.local.job_logs.streams import TRAINING
from platforms.settings import Settings

# Milliseconds since 1970.
START = 1_790_000_000_000
ARN = f"arn:aws:logs:local:000000000000:log-group:{TRAINING.name}"


@pytest.fixture
def context(tmp_path: Path) -> LocalContext:
    """Three jobs: `pets` and `pets-2` talk in turns, `birds` has said one thing much later."""
    context = local_context(Settings(home=tmp_path / 'home "é"'))
    _job(context, "pets", [(0, "epoch 1 loss=0.5"), (20, "epoch 2 loss=0.25"), (40, "done é")])
    _job(context, "pets-2", [(10, "WARN: no GPU"), (20, "ERROR at once"), (30, "epoch 1")])
    _job(context, "birds", [(90_000, '{"epoch": 3, "name": "valid loss", "done": true}')])
    return context


def _job(
    context: LocalContext, name: str, lines: list[tuple[int, str]], status: str = "Completed"
) -> None:
    created = "2026-09-21T13:33:20.000000+00:00"
    record = {"TrainingJobStatus": status, "CreationTime": created}
    context.records.create("training-jobs", name, record)
    folder = context.records.folder("training-jobs", name)
    text, times = b"", ""
    for after, line in lines:
        text += line.encode() + b"\n"
        times += f"{len(text)} {(START + after) / 1000:.3f}\n"
    (folder / "log.txt").write_bytes(text)
    (folder / "log-times.txt").write_text(times, "utf-8")


def filtered(context: LocalContext, **request: Any) -> list[tuple[str, int, str]]:
    """Return stream, time after START and message of all events, page by page."""
    logs = LocalLogs(context=context)
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    group = {} if "logGroupIdentifier" in request else {"logGroupName": TRAINING.name}
    while True:
        page = logs.filter_log_events(**group, **request, **token)
        assert len(page["events"]) <= request.get("limit", 10_000)
        found += page["events"]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert len({event["eventId"] for event in found}) == len(found)
    return [
        (
            event["logStreamName"].removesuffix("/algo-1"),
            event["timestamp"] - START,
            event["message"],
        )
        for event in found
    ]


def test_all_streams_are_interleaved_by_time(context: LocalContext) -> None:
    found = filtered(context)
    assert [(job, time) for job, time, _ in found] == [
        ("pets", 0),
        ("pets-2", 10),
        ("pets-2", 20),  # "-" sorts before "/".
        ("pets", 20),
        ("pets-2", 30),
        ("pets", 40),
        ("birds", 90_000),
    ]
    for size in range(1, 8):
        assert filtered(context, limit=size) == found, size
    assert filtered(context, interleaved=True, logGroupIdentifier=ARN) == found


@pytest.mark.parametrize(
    ("request_", "times"),
    [
        ({"startTime": START + 20}, [20, 20, 30, 40, 90_000]),
        ({"startTime": START + 11, "endTime": START + 30}, [20, 20, 30]),
        ({"endTime": START}, [0]),
        ({"startTime": START + 100_000}, []),
        ({"logStreamNamePrefix": "pets"}, [0, 10, 20, 20, 30, 40]),
        ({"logStreamNamePrefix": "pets/"}, [0, 20, 40]),
        ({"logStreamNamePrefix": "pets-2/algo-1"}, [10, 20, 30]),
        ({"logStreamNamePrefix": "et"}, []),
        ({"logStreamNames": ["birds/algo-1", "pets-2/algo-1"]}, [10, 20, 30, 90_000]),
        ({"filterPattern": "epoch", "logStreamNamePrefix": "pets"}, [0, 20, 30]),
        ({"filterPattern": "?ERROR ?WARN"}, [10, 20]),
    ],
)
def test_what_is_asked_for(
    context: LocalContext, request_: dict[str, Any], times: list[int]
) -> None:
    for size in (1, 2, 100):
        assert [time for _, time, _ in filtered(context, **request_, limit=size)] == times


def test_a_page_holds_a_megabyte(context: LocalContext) -> None:
    _job(context, "wide", [(0, "x" * 300_000), (1, "y" * 300_000), (2, "z" * 300_000)])
    asked = {"logGroupName": TRAINING.name, "logStreamNamePrefix": "wide/"}
    page = LocalLogs(context=context).filter_log_events(**asked)
    # A message is cut at 256 KiB; three and their overhead are less than one MiB.
    assert [len(event["message"]) for event in page["events"]] == [262_144] * 3
    _job(context, "wider", [(time, "x" * 260_000) for time in range(9)])
    asked = {"logGroupName": TRAINING.name, "logStreamNamePrefix": "wider/"}
    assert len(LocalLogs(context=context).filter_log_events(**asked)["events"]) == 4
    assert len(filtered(context, logStreamNamePrefix="wider/")) == 9
    newest = LocalLogs(context=context).get_log_events(
        logGroupName=TRAINING.name, logStreamName="wider/algo-1"
    )
    assert [event["timestamp"] - START for event in newest["events"]] == [5, 6, 7, 8]


def test_a_clock_that_was_set_back_and_a_line_in_two_writes(context: LocalContext) -> None:
    _job(context, "odd", [(50, "one"), (10, "two")])
    folder = context.records.folder("training-jobs", "odd")
    times = folder / "log-times.txt"
    # Half of the first line was there at 50, the rest at 60; the second one was written at "10".
    first = f"2 {(START + 50) / 1000:.3f}\n4 {(START + 60) / 1000:.3f}\n"
    times.write_text(first + times.read_text("utf-8").splitlines()[1] + "\n", "utf-8")
    assert filtered(context, logStreamNamePrefix="odd/", startTime=START + 60) == [
        ("odd", 60, "one"),
        ("odd", 60, "two"),
    ]
    assert filtered(context, logStreamNamePrefix="odd/", startTime=START + 61) == []


def test_thousands_of_streams_are_no_thousands_of_open_files(context: LocalContext) -> None:
    for number in range(60):
        _job(context, f"many-{number:03d}", [(number, f"line {number}")])
    logs = LocalLogs(context=context)
    opened = _open_files()
    page = logs.filter_log_events(logGroupName=TRAINING.name, logStreamNamePrefix="many", limit=30)
    assert [event["message"] for event in page["events"]] == [f"line {n}" for n in range(30)]
    assert _open_files() <= opened + 2


def _open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.mark.parametrize(
    ("operation", "request_", "code", "words"),
    [
        ("filter_log_events", {"logGroupName": "/other"}, "ResourceNotFound", "there are '/aws"),
        ("filter_log_events", {}, "InvalidParameter", "Exactly one"),
        (
            "filter_log_events",
            {"logGroupName": TRAINING.name, "logStreamNames": ["pets"]},
            "ResourceNotFound",
            "did you mean 'pets/algo-1'",
        ),
        (
            "filter_log_events",
            {"logGroupName": TRAINING.name, "logStreamNames": ["a"], "logStreamNamePrefix": "a"},
            "InvalidParameter",
            "both",
        ),
        ("filter_log_events", {"logGroupName": TRAINING.name, "nextToken": "x"}, "Invalid", "'x'"),
        (
            "filter_log_events",
            {"logGroupName": TRAINING.name, "nextToken": "MQ=="},
            "Invalid",
            "MQ==",
        ),
        (
            "get_log_events",
            {"logGroupName": TRAINING.name, "logStreamName": "nobody/algo-1"},
            "ResourceNotFound",
            "'nobody/algo-1' does not exist",
        ),
        (
            "describe_log_streams",
            {"logGroupName": TRAINING.name, "orderBy": "LastEventTime", "logStreamNamePrefix": "p"},
            "InvalidParameter",
            "Cannot order by LastEventTime",
        ),
        (
            "describe_log_groups",
            {"logGroupNamePrefix": "/", "logGroupNamePattern": "x"},
            "InvalidParameter",
            "both",
        ),
    ],
)
def test_what_cannot_be_answered(
    context: LocalContext, operation: str, request_: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(ClientError, match=words) as raised:
        getattr(LocalLogs(context=context), operation)(**request_)
    assert raised.value.response["Error"]["Code"].startswith(code)


def test_streams_by_name_and_by_time(context: LocalContext) -> None:
    logs = LocalLogs(context=context)

    def names(**request: Any) -> list[str]:
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            page = logs.describe_log_streams(
                logGroupName=TRAINING.name, limit=2, **request, **token
            )
            found += [each["logStreamName"].removesuffix("/algo-1") for each in page["logStreams"]]
            if "nextToken" not in page:
                return found
            token = {"nextToken": page["nextToken"]}

    assert names() == ["birds", "pets-2", "pets"]  # "-" sorts before "/".
    assert names(descending=True) == ["pets", "pets-2", "birds"]
    assert names(orderBy="LastEventTime") == ["pets-2", "pets", "birds"]
    assert names(orderBy="LastEventTime", descending=True) == ["birds", "pets", "pets-2"]
    assert names(logStreamNamePrefix="pets/") == ["pets"]
    (stream,) = logs.describe_log_streams(logGroupName=TRAINING.name, logStreamNamePrefix="pets/")[
        "logStreams"
    ]
    assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (START, START + 40)
    assert stream["arn"] == f"{ARN}:log-stream:pets/algo-1"


def test_the_group_is_there_once_a_job_is(context: LocalContext, tmp_path: Path) -> None:
    empty = LocalLogs(context=local_context(Settings(home=tmp_path / "empty")))
    assert empty.describe_log_groups()["logGroups"] == []
    logs = LocalLogs(context=context)

    def listed(**request: Any) -> list[str]:
        groups = logs.describe_log_groups(**request)["logGroups"]
        return [each["logGroupName"] for each in groups]

    assert listed() == listed(logGroupNamePrefix="/aws/sage") == [TRAINING.name]
    assert listed(logGroupNamePattern="TrainingJobs") == [TRAINING.name]
    assert listed(logGroupIdentifiers=[ARN]) == [TRAINING.name]
    assert listed(logGroupNamePrefix="/aws/lambda") == listed(logGroupNamePattern="x") == []
    assert listed(logGroupClass="INFREQUENT_ACCESS") == []
    assert logs.describe_log_groups()["logGroups"][0]["arn"] == f"{ARN}:*"
