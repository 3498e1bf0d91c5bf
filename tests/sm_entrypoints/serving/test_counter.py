"""Requests counted by the minute, across restarts and in spite of the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from sm_entrypoints.serving import counter
from sm_entrypoints.serving.counter import RequestCounter


class Clock:
    """A clock that stands still."""

    now = 60_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(counter, "time", clock)
    return clock


def _lines(path: Path) -> list[list[int]]:
    return [[int(part) for part in line.split()] for line in path.read_text().splitlines()]


def test_each_minute_has_its_line(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "told" / "requests"
    counts = RequestCounter(path)
    assert path.read_text() == ""
    for _ in range(3):
        counts.note()
    assert _lines(path) == [[1_000_000, 3]]
    clock.now += 150
    counts.note()
    assert _lines(path) == [[1_000_000, 3], [1_000_002, 1]]
    # A server that is restarted in the same minute, then in a later one.
    RequestCounter(path).note()
    clock.now += 60
    again = RequestCounter(path)
    again.note()
    again.note()
    assert _lines(path) == [[1_000_000, 3], [1_000_002, 2], [1_000_003, 2]]


def test_a_line_that_was_cut_short_is_written_over(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "requests"
    RequestCounter(path).note()
    with path.open("a") as file:
        file.write("     10")
    clock.now += 60
    RequestCounter(path).note()
    assert _lines(path) == [[1_000_000, 1], [1_000_001, 1]]


def test_without_a_file_or_a_disk_requests_are_answered(tmp_path: Path) -> None:
    RequestCounter(None).note()
    RequestCounter(tmp_path).note()  # a folder
    full = Path("/dev/full")
    if full.exists():
        RequestCounter(full).note()
