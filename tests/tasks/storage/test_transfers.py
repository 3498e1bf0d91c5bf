from __future__ import annotations

import threading
import time

import pytest

from tasks.storage import transfers as data_sync_pool
from tasks.storage.sync_progress import Moved
from tasks.storage.transfers import transfer, uploads_at_a_time


@pytest.mark.parametrize(("most", "items"), [(1, 5), (7, 40), (48, 3)])
def test_no_more_than_asked_for_at_a_time(most, items):
    lock, running, seen = threading.Lock(), 0, 0
    together = threading.Barrier(min(most, items))

    def work(item):
        nonlocal running, seen
        with lock:
            running += 1
            seen = max(seen, running)
        if item < together.parties:
            together.wait(20)  # passed only by as many as are wanted
        with lock:
            running -= 1

    assert len(list(transfer(range(items), work, lambda _: 1, most=most))) == items
    assert seen == together.parties


def test_a_store_on_this_machine_gets_fewer_at_a_time():
    assert [uploads_at_a_time(seconds) for seconds in (0.0005, 0.02, 0.2)] == [12, 48, 48]


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
