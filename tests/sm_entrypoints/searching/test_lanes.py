"""Packs that learn side by side do what they do one after another, each by one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from sm_entrypoints.searching.generation import Interrupted
from sm_entrypoints.searching.lanes import lanes
from tests.sm_entrypoints.searching.world import TRIALS, assert_equal, make_world


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_pieces_run_at_the_same_time_with_one_thread_each(two_threads: None) -> None:
    # Nobody gets past the barrier alone.
    both, seen = threading.Barrier(2, timeout=30), []

    def piece() -> None:
        both.wait()
        seen.append((threading.current_thread(), torch.get_num_threads()))

    with lanes(2) as side_by_side:
        side_by_side.run([piece] * 4)
        assert torch.get_num_threads() == 2
    assert [count for _, count in seen] == [1] * 4
    assert threading.current_thread() not in {thread for thread, _ in seen}


def test_fewer_pieces_than_threads_share_them(two_threads: None) -> None:
    both, seen = threading.Barrier(2, timeout=30), list[int]()

    def piece() -> None:
        both.wait()
        seen.append(torch.get_num_threads())

    with lanes(5) as side_by_side:
        side_by_side.run([piece] * 2)
    assert seen == [2, 2]


def test_one_lane_and_one_piece_are_the_callers_thread(two_threads: None) -> None:
    seen: list[object] = []

    def piece() -> None:
        seen.append(threading.current_thread())

    with lanes(1) as alone, lanes(2) as side_by_side:
        assert alone.count == 1
        alone.run([piece, piece])
        side_by_side.run([piece])
    assert seen == [threading.current_thread()] * 3


def test_a_failure_is_raised_once_all_pieces_are_done(two_threads: None) -> None:
    done: list[int] = []

    def piece(number: int) -> None:
        if number == 0:
            raise Interrupted
        done.append(number)

    with lanes(2) as side_by_side, pytest.raises(Interrupted):
        side_by_side.run([partial(piece, number) for number in range(5)])
    assert sorted(done) == [1, 2, 3, 4]
    assert torch.get_num_threads() == 2


@pytest.mark.slow
def test_large_heads_side_by_side_are_the_same_training(tmp_path: Path) -> None:
    # A layer of 590,000 numbers without weights learns too, so each pack has one head.
    world = make_world(tmp_path, "mobilenet_v3_small", image_size=32, without=["classifier.0"])
    before, threads = torch.get_num_threads(), set[str]()

    def noted() -> bool:
        threads.add(threading.current_thread().name.partition("_")[0])
        return False

    torch.set_num_threads(2)
    try:
        world.packed([world.arguments(**each) for each in TRIALS[:4]], stopped=noted)
        assert threads == {"lane", "MainThread"}
        assert_equal(world, TRIALS[:4])
    finally:
        torch.set_num_threads(before)
