"""Follow a job's log as it grows: metrics by ``MetricDefinitions``, and the times of lines."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from platforms.local.job_tree import JobTree
from platforms.metric_regexes import MetricRegex

# A line that never ends must not fill the memory.
_MAX_LINE = 1024 * 1024
_CHUNK = 1024 * 1024
# Whoever follows has a time limit and a stop to look after as well.
_SECONDS_PER_LOOK = 0.5
_SECONDS_AT_END = 10.0
# What the platform itself says in the log is no output of the job.
_OURS = b"[whippet] "
_LINE_END = re.compile(rb"[\r\n]")


class LogFollower:
    """Reads what the log has new, again and again; one per job, in its supervisor.

    Every finding is written down at once: points to ``metrics.jsonl``, and to ``log-times.txt``
    how far the log reached at what time. The last value of a metric is its final one. A progress
    bar's rewrites (carriage returns) are lines, too.
    """

    def __init__(self, tree: JobTree, definitions: Sequence[Mapping[str, str]]) -> None:
        self._tree = tree
        self._regexes = [(each["Name"], MetricRegex(each["Regex"])) for each in definitions]
        self._offset = 0
        self._rest = b""
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._said: set[str] = set()
        self._final: dict[str, dict[str, Any]] = {}

    def follow(self, *, ended: bool = False) -> bool:
        """Read the new lines; tell whether a metric has a new value.

        Takes half a second at most, and leaves what it did not get to for the next time.

        Args:
            ended: nothing more will be written, so a last line without a newline counts, and so
                does all that is left, within ten seconds.
        """
        deadline = time.monotonic() + (_SECONDS_AT_END if ended else _SECONDS_PER_LOOK)
        has_new = False
        while time.monotonic() < deadline and (self._waiting or self._take(ended)):
            points = []
            while self._waiting and time.monotonic() < deadline:
                line, moment = self._waiting.popleft()
                points += self._points(line.decode("utf-8", "replace"), moment)
            self._write(points)
            has_new = has_new or bool(points)
        return has_new

    def final_metrics(self) -> list[dict[str, Any]]:
        """Return ``FinalMetricDataList``: the last value of each metric, as stored."""
        return list(self._final.values())

    def complaints(self) -> Iterator[str]:
        """Yield, once each, what is wrong with a regex: it takes too long."""
        for name, regex in self._regexes:
            if regex.given_up and name not in self._said:
                self._said.add(name)
                yield (
                    f"the regex of metric {name!r} is no longer tried: {regex.text!r} takes too "
                    "long on lines of this log (it backtracks). Name what stands before the "
                    "number, and do not nest repetitions"
                )

    def _take(self, ended: bool) -> bool:
        """Read the next part of the log; tell whether there was any, or a last line."""
        data = self._read(self._tree.log)
        moment = time.time()
        if data:  # All that lies before this offset was there by now.
            with self._tree.log_times.open("a", encoding="utf-8") as file:
                file.write(f"{self._offset} {moment:.3f}\n")
        elif not (ended and self._rest):
            return False
        lines = _LINE_END.split(self._rest + data)
        self._rest = lines.pop()[-_MAX_LINE:]
        if not data:
            lines, self._rest = [*lines, self._rest], b""
        self._waiting += [(line, moment) for line in lines if line and not line.startswith(_OURS)]
        return True

    def _read(self, log: Path) -> bytes:
        try:
            with log.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_CHUNK)
        except FileNotFoundError:
            return b""
        self._offset += len(data)
        return data

    def _points(self, line: str, moment: float) -> list[dict[str, Any]]:
        points = []
        for name, regex in self._regexes:
            for text, _, _ in regex.matches(line):
                value = _number(text)
                if value is not None:
                    points.append({"name": name, "value": value, "timestamp": moment})
        return points

    def _write(self, points: list[dict[str, Any]]) -> None:
        if not points:
            return
        with self._tree.metrics.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(point) + "\n" for point in points)
        for point in points:
            stamp = datetime.fromtimestamp(point["timestamp"], UTC)
            self._final[point["name"]] = {
                "MetricName": point["name"],
                "Value": point["value"],
                "Timestamp": stamp.isoformat(timespec="microseconds"),
            }


def _number(text: str) -> float | None:
    """Return a group's text as a number; None for what SageMaker does not store."""
    try:
        value = float(text)
    except ValueError:
        return None
    # CloudWatch stores no NaN and no infinity.
    return value if value - value == 0 else None


def logged_points(tree: JobTree) -> list[dict[str, Any]]:
    """Return what a job's metrics had as values so far: ``name``, ``value`` and ``timestamp`` each.

    Lines that were cut short, as the last one may be, are passed over.
    """
    points = []
    with suppress(FileNotFoundError):
        for line in tree.metrics.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                points.append(json.loads(line))
    return points


def last_text(tree: JobTree, pattern: str) -> str | None:
    """Return the last text that a metric's regex reads at the end of a log; None if it has none.

    For a job that ended without a value: what stood in its place (``nan``), in the last megabyte.
    """
    text, regex = None, MetricRegex(pattern)
    with tree.log.open("rb") as file:
        file.seek(max(0, tree.log.stat().st_size - _CHUNK))
        lines = _LINE_END.split(file.read(_CHUNK))
    deadline = time.monotonic() + _SECONDS_AT_END
    for line in lines:
        if time.monotonic() < deadline and not line.startswith(_OURS):
            text = next((m[0] for m in regex.matches(line.decode("utf-8", "replace"))), text)
    return text
