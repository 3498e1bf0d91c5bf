"""The operator table agrees with torch's own, on a real trace and on kernels of a GPU."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from sm_entrypoints.contract import OPERATOR_COLUMNS
from sm_entrypoints.instrumentation.profiler.operator_table import (
    MOST_ROWS,
    Operator,
    operators,
    operators_csv,
)


def test_the_table_is_that_of_key_averages(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    optimizer = torch.optim.Adam(model.parameters())
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiled:
        for _ in range(2):
            loss = model(torch.randn(2, 3, 8, 8)).div(3).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    path = tmp_path / "trace é.json"
    profiled.export_chrome_trace(str(path))
    ours = {row.name: row for row in operators(json.loads(path.read_text())["traceEvents"])}
    theirs = {row.key: row for row in profiled.key_averages() if not row.is_user_annotation}
    assert set(ours) == set(theirs)
    assert len(ours) > 20
    for name, row in ours.items():
        assert row.calls == theirs[name].count, name
        assert row.self_cpu * 1e6 == pytest.approx(theirs[name].self_cpu_time_total, abs=1), name
        assert row.cpu * 1e6 == pytest.approx(theirs[name].cpu_time_total, abs=1), name
    order = [row.self_cpu for row in ours.values()]
    assert order == sorted(order, reverse=True)


def _event(name: str, start: float, duration: float, **more: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": "cpu_op", "name": name, "pid": 1, "tid": 1, "ts": start} | {
        "dur": duration,
        **more,
    }


def test_the_time_of_kernels_goes_to_who_launched_them() -> None:
    rows = operators(
        [
            {"ph": "M", "name": "process_name", "pid": 1},
            _event("conv", 0, 100, args={"External id": 1}),
            _event("cudnn", 10, 50, args={"External id": 2}),
            _event("add", 100, 30, args={"External id": 3}),
            _event("wgmma", 60, 400, cat="kernel", pid=0, tid=7, args={"External id": 2}),
            _event("copy", 70, 20, cat="gpu_memcpy", pid=0, tid=7, args={"External id": 3}),
        ]
    )
    assert [row.name for row in rows] == ["cudnn", "add", "conv"]
    by_name = {row.name: row for row in rows}
    assert by_name["conv"].self_cpu == pytest.approx(50e-6)
    assert by_name["conv"].device == pytest.approx(400e-6)
    assert by_name["conv"].self_device == 0
    table = list(csv.DictReader(io.StringIO(operators_csv(rows))))
    assert tuple(table[0]) == OPERATOR_COLUMNS
    assert float(table[0]["share"]) == pytest.approx(400 / 420, abs=1e-6)


def test_the_file_is_bounded_and_its_shares_are_of_the_whole() -> None:
    rows = [Operator(name=f"op, {index}", calls=1, self_cpu=1.0, cpu=1.0) for index in range(100)]
    table = list(csv.DictReader(io.StringIO(operators_csv(rows))))
    assert len(table) == MOST_ROWS
    assert table[0]["name"] == "op, 0"
    assert sum(float(row["share"]) for row in table) == pytest.approx(0.6)
    assert operators_csv([]).splitlines() == [",".join(OPERATOR_COLUMNS)]
