"""Rows of workers.csv: who made each batch, when, and for how long."""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path

import torch
from torch import Tensor

from sm_entrypoints.contract import WORKER_COLUMNS
from sm_entrypoints.images.batches import BatchOrder, TensorData, make_loader
from sm_entrypoints.instrumentation.profiler.workers import Making, WorkerRecorder

SLEEP = 0.02


class SlowData(TensorData):
    """Batches that take their time, as from a slow disk."""

    def __getitems__(self, keys: list[tuple[int, int]]) -> tuple[Tensor, Tensor, Tensor]:
        time.sleep(SLEEP)
        return super().__getitems__(keys)


def _record(path: Path, num_workers: int) -> tuple[list[dict[str, str]], list[int], int]:
    data = SlowData(torch.zeros(10, 3), torch.zeros(10, dtype=torch.int64))
    seen: list[int] = []
    recorder = WorkerRecorder(path, on_new_process=seen.append)
    for mode in ("TRAIN", "EVAL"):
        for batch in make_loader(data, BatchOrder(10, 4), num_workers):
            assert batch.making is not None
            recorder.write(batch.making, len(batch.labels), mode)
    recorder.close()
    with path.open(newline="") as file:
        return list(csv.DictReader(file)), seen, recorder.training_workers


def test_worker_processes_show_with_their_own_pid_and_time(tmp_path: Path) -> None:
    before = time.time()
    rows, seen, workers = _record(tmp_path / "été's" / "workers.csv", num_workers=2)
    assert tuple(rows[0]) == WORKER_COLUMNS
    assert [row["samples"] for row in rows] == ["4", "4", "2"] * 2
    pids = {int(row["pid"]) for row in rows}
    assert pids == set(seen)
    assert len(seen) == 4, "each loader has its own workers"
    assert workers == 2
    assert os.getpid() not in pids
    for row in rows:
        # Unix time may be set while this runs; a second is enough for NTP.
        assert SLEEP <= float(row["seconds"]) <= time.time() - before + 1
        assert before <= float(row["started"]) <= time.time()


def test_without_workers_the_training_process_shows(tmp_path: Path) -> None:
    rows, seen, workers = _record(tmp_path / "workers.csv", num_workers=0)
    assert {int(row["pid"]) for row in rows} == {os.getpid()}
    assert seen == []
    assert workers == 0
    assert all(float(row["seconds"]) >= SLEEP for row in rows)


def test_a_row_costs_little(tmp_path: Path) -> None:
    recorder = WorkerRecorder(tmp_path / "workers.csv", on_new_process=lambda _: None)
    data = TensorData(torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64))
    loader = make_loader(data, BatchOrder(2, 2), 0)
    plain = loader.dataset
    assert isinstance(plain.__getitems__([(0, 0)]).making, Making)  # type: ignore[attr-defined]
    count = 2000
    began = time.process_time()
    for _ in range(count):
        making = Making.since(time.time(), time.perf_counter())
        recorder.write(making, 2, "TRAIN")
    cost = (time.process_time() - began) / count
    recorder.close()
    assert cost < 50e-6, cost
