"""Follow a job's log while it grows: metrics by ``MetricDefinitions``, and when lines came."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from platforms.local.job_tree import JobTree

# A line that never ends must not fill the memory.
_MAX_LINE = 1024 * 1024


class LogFollower:
    """Reads what the log has new, again and again; one per job, in its supervisor.

    Every finding is written down at once: points to ``metrics.jsonl``, and to ``log-times.txt``
    how far the log reached at what time. The last value of a metric is its final one.
    """

    def __init__(self, tree: JobTree, definitions: Sequence[Mapping[str, str]]) -> None:
        self._tree = tree
        self._patterns = [(each["Name"], re.compile(each["Regex"])) for each in definitions]
        self._offset = 0
        self._rest = b""
        self.final: dict[str, dict[str, Any]] = {}

    def follow(self, *, ended: bool = False) -> bool:
        """Read the new lines; tell whether a metric has a new value.

        Args:
            ended: nothing more will be written, so a last line without a newline counts.
        """
        data = self._read(self._tree.log)
        if not data and not ended:
            return False
        moment = time.time()
        if data:  # All that lies before this offset was there by now.
            with self._tree.log_times.open("a", encoding="utf-8") as file:
                file.write(f"{self._offset} {moment:.3f}\n")
        lines = (self._rest + data).split(b"\n")
        self._rest = b"" if ended else lines.pop()[-_MAX_LINE:]
        points = [
            point
            for line in lines
            for point in self._points(line.decode("utf-8", "replace"), moment)
        ]
        self._write(points)
        return bool(points)

    def final_metrics(self) -> list[dict[str, Any]]:
        """Return ``FinalMetricDataList``: the last value of each metric, as stored."""
        return list(self.final.values())

    def _read(self, log: Path) -> bytes:
        try:
            with log.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return b""
        self._offset += len(data)
        return data

    def _points(self, line: str, moment: float) -> list[dict[str, Any]]:
        points = []
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                value = _number(match)
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
            self.final[point["name"]] = {
                "MetricName": point["name"],
                "Value": point["value"],
                "Timestamp": stamp.isoformat(timespec="microseconds"),
            }


def _number(match: re.Match[str]) -> float | None:
    """Return the first group as a number: what SageMaker takes as the value."""
    try:
        value = float(match.group(1))
    except (IndexError, TypeError, ValueError):
        return None
    # CloudWatch stores no NaN and no infinity.
    return value if value - value == 0 else None
