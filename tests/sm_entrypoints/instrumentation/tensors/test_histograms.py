"""Few tensors, few steps, 32 bins that count every sampled value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from sm_entrypoints.instrumentation.line_writer import Place
from sm_entrypoints.instrumentation.tensors.histograms import (
    BINS,
    HistogramRecorder,
    telling_layers,
)

PLACE = Place(3, 1, "TRAIN")


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet18", ["conv1", "layer4.1.conv2", "fc"]),
        ("mobilenet_v2", ["features.0.0", "features.18.0", "classifier.1"]),
        ("alexnet", ["features.0", "features.10", "classifier.6"]),
    ],
)
def test_the_layers_that_tell(name: str, layers: list[str]) -> None:
    with torch.device("meta"):
        model = torchvision.models.get_model(name)
    assert list(telling_layers(model)) == layers


def test_counts_are_numpys(tmp_path: Path) -> None:
    recorder = HistogramRecorder(tmp_path / "h.jsonl", nn.Linear(2, 2))
    values = torch.randn(5_000)
    recorder.record(PLACE, "weights", "Net_fc.weight", values)
    recorder.close()
    (found,) = _read(tmp_path / "h.jsonl")
    counts, edges = np.histogram(values.double().numpy(), BINS)
    assert found == {
        "step": 3,
        "epoch": 1,
        "mode": "TRAIN",
        "collection": "weights",
        "name": "Net_fc.weight",
        "edges": pytest.approx([edges[0], edges[-1]], rel=1e-5),
        "counts": counts.tolist(),
    }


@pytest.mark.parametrize(
    ("values", "counted"),
    [
        ([0.0, 0.0], 2),
        ([5.0], 1),
        ([1.0, float("nan"), float("inf"), 2.0], 2),
        ([1e30, 1e30], 2),
        ([1.0, 1.0 + 2**-23], 2),
        ([-3e38, 3e38], 2),
        ([1e-45, 0.0], 2),
    ],
)
def test_odd_ranges_are_counted(tmp_path: Path, values: list[float], counted: int) -> None:
    recorder = HistogramRecorder(tmp_path / "h.jsonl", nn.Linear(2, 2))
    recorder.record(PLACE, "weights", "x", torch.tensor(values))
    recorder.close()
    (found,) = _read(tmp_path / "h.jsonl")
    assert sum(found["counts"]) == counted
    assert found["edges"][0] <= found["edges"][1]


def test_nothing_finite_has_no_histogram(tmp_path: Path) -> None:
    recorder = HistogramRecorder(tmp_path / "h.jsonl", nn.Linear(2, 2))
    recorder.record(PLACE, "weights", "x", torch.full((3,), float("nan")))
    recorder.record(PLACE, "weights", "x", torch.empty(0))
    recorder.close()
    assert _read(tmp_path / "h.jsonl") == []


def test_a_long_run_has_a_few_dozen(tmp_path: Path) -> None:
    recorder = HistogramRecorder(tmp_path / "h.jsonl", nn.Linear(2, 2))
    steps = [step for step in range(0, 100_000, 20) if recorder.due(step)]
    assert steps[:6] == [0, 20, 40, 60, 80, 100]
    assert 24 <= len(steps) <= 72
    assert steps[-1] > 80_000
    recorder.close()


def test_the_quota_is_kept(tmp_path: Path) -> None:
    recorder = HistogramRecorder(tmp_path / "h.jsonl", nn.Linear(2, 2), quota_bytes=1_000)
    for _ in range(20):
        recorder.record(PLACE, "weights", "x", torch.randn(100))
    recorder.close()
    size = (tmp_path / "h.jsonl").stat().st_size
    assert size <= 1_000
    assert recorder.summary() == {"records": 20 - 15, "dropped": 15, "bytes": size}


def test_frozen_weights_are_told_once(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    recorder = HistogramRecorder(tmp_path / "h.jsonl", model)
    recorder.due(0)
    assert [name for name, _ in recorder.parameters()] == [
        "Sequential_0.weight",
        "Sequential_2.weight",
    ]
    recorder.due(20)
    assert [name for name, _ in recorder.parameters()] == ["Sequential_2.weight"]
    recorder.close()
