"""One log stream per job: its lines as events, whose times and ids never change."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from platforms.job_status import TERMINAL
from platforms.local.context import ACCOUNT, LocalContext
from platforms.local.job_tree import HOST, JobTree
from platforms.local.records import Kind, Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class LogGroup:
    """A log group: the logs of one kind of job.

    Attributes:
        kind: of the jobs' records. status: the member of a record that says whether its job is
        still running.
    """

    name: str
    kind: Kind
    status: str

    def arn(self, context: LocalContext) -> str:
        """Return its ARN, without the ``:*`` that some answers put behind it."""
        return f"arn:aws:logs:{context.region}:{ACCOUNT}:log-group:{self.name}"


TRAINING = LogGroup(
    name="/aws/sagemaker/TrainingJobs", kind="training-jobs", status="TrainingJobStatus"
)
TRANSFORM = LogGroup(
    name="/aws/sagemaker/TransformJobs", kind="transform-jobs", status="TransformJobStatus"
)
GROUPS = (TRAINING, TRANSFORM)

# CloudWatch's own limit of characters a message.
_MESSAGE = 256 * 1024
# Read at once; a file is never open between two reads: there may be thousands of streams.
_BLOCK = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of a log: where it begins, its length in bytes, its time in milliseconds."""

    stream: str
    offset: int
    length: int
    time: int
    message: str

    @property
    def end(self) -> int:
        """Where the next line begins."""
        return self.offset + self.length

    @property
    def order(self) -> tuple[int, str, int]:
        """What events of all streams are sorted by: their time comes first."""
        return self.time, self.stream, self.offset

    @property
    def id(self) -> str:
        """CloudWatch's 56 digits, here of the stream's name and the line's place."""
        digest = int.from_bytes(hashlib.sha256(self.stream.encode()).digest()[:8], "big")
        return f"{digest:020d}{self.offset:036d}"

    def as_answered(self) -> dict[str, Any]:
        """Return the event as ``FilterLogEvents`` has it; ``GetLogEvents`` has less."""
        return {
            "logStreamName": self.stream,
            "timestamp": self.time,
            "message": self.message,
            "ingestionTime": self.time,
            "eventId": self.id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The log of one job; ``created`` in unix milliseconds."""

    name: str
    tree: JobTree
    ended: bool
    created: int

    @property
    def arn_suffix(self) -> str:
        """The end of its ARN, which begins with that of the group."""
        return f":log-stream:{self.name}"

    def span(self) -> tuple[int, int] | None:
        """Return the times of its first and last event; None when it has none."""
        _, times = self._times()
        return (times[0], times[-1]) if times else None

    def events(self, start: int = 0) -> Iterator[Event]:
        """Yield each whole line from the offset ``start`` on.

        A line is an event once its supervisor has seen it, so that its time never changes.
        """
        offsets, times = self._times()
        # A job that was never watched to its end (its supervisor died): the last write's time.
        last = int(self.tree.log.stat().st_mtime * 1000)
        last = max(last, times[-1]) if times else last
        offset = start
        for line in _lines(self.tree.log, start):
            index = bisect_left(offsets, offset + len(line))
            if not self.ended and (index == len(offsets) or not line.endswith(b"\n")):
                return
            yield Event(
                stream=self.name,
                offset=offset,
                length=len(line),
                time=times[index] if index < len(offsets) else last,
                message=line.decode("utf-8", "replace").rstrip("\r\n")[:_MESSAGE],
            )
            offset += len(line)

    def offset_at(self, moment: int) -> int:
        """Return where the first line begins that may be of that time (milliseconds) or later."""
        offsets, times = self._times()
        index = bisect_left(times, moment)
        return _line_start(self.tree.log, offsets[index - 1]) if index else 0

    def _times(self) -> tuple[list[int], list[int]]:
        """Return up to which offsets the log had been written at what times (milliseconds)."""
        try:
            text = self.tree.log_times.read_text(encoding="utf-8")
        except FileNotFoundError:
            return [], []
        pairs = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
        # No later line has an earlier time, even when the clock was set back.
        times = accumulate((int(float(time) * 1000) for _, time in pairs), max)
        return [int(offset) for offset, _ in pairs], list(times)


def stream_of(context: LocalContext, group: LogGroup, job: str) -> Stream | None:
    """Return the stream of a job; None when there is no such job, or no log yet."""
    try:
        record = context.records.read(group.kind, job)
        tree = JobTree(folder=context.records.folder(group.kind, job))
    except (Missing, ValueError):
        return None
    if not tree.log.is_file():
        return None
    return Stream(
        name=f"{job}/{HOST}",
        tree=tree,
        ended=record[group.status] in TERMINAL,
        created=int(datetime.fromisoformat(record["CreationTime"]).timestamp() * 1000),
    )


def streams(context: LocalContext, group: LogGroup, prefix: str = "") -> Iterator[Stream]:
    """Yield all streams of a group whose name begins with a prefix, by name."""
    for name in sorted(f"{job}/{HOST}" for job in context.records.names(group.kind)):
        if name.startswith(prefix):
            stream = stream_of(context, group, name.removesuffix(f"/{HOST}"))
            if stream is not None:
                yield stream


def _lines(path: Path, start: int) -> Iterator[bytes]:
    offset = start
    while True:
        with path.open("rb") as file:
            file.seek(offset)
            lines = file.readlines(_BLOCK)
        if not lines:
            return
        for line in lines:
            offset += len(line)
            yield line


def _line_start(path: Path, offset: int) -> int:
    """Return where the line begins that an offset lies in, or the offset where one begins there."""
    with path.open("rb") as file:
        end = offset
        while end > 0:
            begin = max(0, end - _BLOCK)
            file.seek(begin)
            newline = file.read(end - begin).rfind(b"\n")
            if newline >= 0:
                return begin + newline + 1
            end = begin
    return 0
