from __future__ import annotations

import threading
import time

import pytest

from tasks import data_sync_pool
from tasks.data_sync_pool import Width, transfer
from tasks.data_sync_progress import Moved


def settled(rate_at, most=48):
    """Return the width that a line comes to; ``rate_at`` gives files a second by width."""
    now, width = 0.0, Width(most, 0.0)
    for _ in range(5_000):
        now += 1 / rate_at(width.value)
        width.finished(now)
    return width.value


@pytest.mark.parametrize(
    ("rate_at", "expected"),
    [
        (lambda width: 25 * width, 48),  # latency is what limits
        (lambda width: 300, 24),  # the store is what limits
        (lambda width: 7200 / width, 24),  # more make it slower
        (lambda width: 25 * min(width, 28), 24),  # up to a point
    ],
)
def test_the_width_is_what_the_line_rewards(rate_at, expected):
    assert settled(rate_at) == expected


def test_one_at_a_time_stays_so():
    assert settled(lambda width: 25 * width, most=1) == 1


def test_everything_is_transferred_once():
    items = list(range(500))
    found = dict(transfer(items, lambda item: item * 2, lambda _: 1))
    assert found == {item: item * 2 for item in items}
    assert list(transfer([], lambda item: item, lambda _: 1)) == []


def test_bytes_in_flight_are_bounded(monkeypatch):
    monkeypatch.setattr(data_sync_pool, "MOST_BYTES_AT_A_TIME", 100)
    lock, held, most = threading.Lock(), 0, 0

    def work(size):
        nonlocal held, most
        with lock:
            held += size
            most = max(most, held)
        time.sleep(0.002)
        with lock:
            held -= size

    # One that is larger than the room goes alone.
    assert len(list(transfer([40, 60, 30, 250, 90, 20] * 5, work, lambda size: size))) == 30
    assert 90 <= most <= 250


def test_an_error_ends_it_without_leaving_anything_running():
    running = threading.active_count()
    begun = []

    def work(item):
        begun.append(item)
        if item == 5:
            raise ValueError("five")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="five"):
        list(transfer(range(1_000), work, lambda _: 1))
    assert len(begun) < 100
    assert threading.active_count() == running


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        (
            Moved(files=10, of_files=8_000, bytes=1_000_000, of_bytes=800_000_000, seconds=0.1),
            "10 of 8,000 files, 1.0 of 800.0 MB, 10.0 MB/s, 80 s left",
        ),
        (
            Moved(files=1, of_files=2, bytes=1_000_000, of_bytes=600_000_000, seconds=1),
            "1 of 2 files, 1.0 of 600.0 MB, 1.0 MB/s, 10 min left",
        ),
        (
            Moved(files=0, of_files=2, bytes=0, of_bytes=10, seconds=1),
            "0 of 2 files, 0.0 of 0.0 MB",
        ),
    ],
)
def test_progress_says_rate_and_time_left(moved, expected):
    assert str(moved) == expected
