"""Which tensors are described, when, and what it may cost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sm_entrypoints.instrumentation.quota import THINNING, Quota
from sm_entrypoints.instrumentation.tensors.reductions import ReductionRecorder
from sm_entrypoints.instrumentation.tensors.stride import SHORTEST_STRIDE
from sm_entrypoints.job.containment import Containment

LOSS = nn.CrossEntropyLoss()


class Net(nn.Module):
    """Two layers and one in-place ReLU that is called twice, as in ResNet's blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 5)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.head(self.relu(self.first(x))))


def _recorder(path: Path, model: nn.Module, **options: Any) -> ReductionRecorder:
    containment = Containment("test", on_failure=lambda: None)
    return ReductionRecorder(path.parent, model, containment=containment, **options)


def _train(
    recorder: ReductionRecorder,
    model: nn.Module,
    steps: int,
    seconds: float = 0.01,
    lr: float = 0.1,
) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr)
    for _ in range(steps):
        loss = LOSS(model(torch.randn(4, 6)), torch.randint(0, 3, (4,)))
        optimizer.zero_grad()
        loss.backward()
        recorder.before_update()
        optimizer.step()
        recorder.end_step(float(loss.detach()), seconds)


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_sampled_step_describes_everything(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, path = Net(), tmp_path / "reductions.jsonl"
    model.first.requires_grad_(False)
    recorder = _recorder(path, model)
    recorder.begin_epoch(1, "TRAIN", 0)
    before = model.head.bias.detach().clone()
    _train(recorder, model, 1)
    recorder.close()
    records = _read(path)
    assert [(r["collection"], r["name"]) for r in records] == [
        ("inputs", "input"),
        ("relu_input", "relu_input_0"),
        ("relu_output", "relu_output_0"),
        ("relu_input", "relu_input_1"),
        ("relu_output", "relu_output_1"),
        ("outputs", "output"),
        ("gradients", "gradient/Net_head.weight"),
        ("gradients", "gradient/Net_head.bias"),
        ("losses", "loss"),
        ("weights", "Net_head.weight"),
        ("update_ratios", "update_ratio/Net_head.weight"),
        ("weights", "Net_head.bias"),
        ("update_ratios", "update_ratio/Net_head.bias"),
    ]
    by_name = {r["name"]: r for r in records}
    # The input was read before the in-place call overwrote it.
    assert by_name["relu_input_0"]["min"] < 0 <= by_name["relu_output_0"]["min"]
    now = model.head.bias.detach()
    ratio = ((now - before).abs() / (before.abs() + 1e-9)).mean()
    assert by_name["update_ratio/Net_head.bias"]["mean"] == pytest.approx(float(ratio), rel=1e-4)
    assert by_name["Net_head.bias"]["mean"] == pytest.approx(float(now.mean()), rel=1e-4)
    assert model.head.bias.grad is not None
    gradient = float(model.head.bias.grad.abs().mean())
    assert by_name["gradient/Net_head.bias"]["abs_mean"] == pytest.approx(gradient, rel=1e-4)
    assert recorder.summary()["reductions"] == {
        "records": len(records),
        "dropped": 0,
        "bytes": path.stat().st_size,
    }


def test_first_steps_epoch_starts_and_every_stride(tmp_path: Path) -> None:
    model, path = Net(), tmp_path / "reductions.jsonl"
    recorder = _recorder(path, model)
    recorder.begin_epoch(1, "TRAIN", 0)
    _train(recorder, model, 30, seconds=100.0)
    recorder.begin_epoch(1, "EVAL", 0)
    with torch.no_grad():
        model(torch.randn(4, 6))
    recorder.end_step(1.0, 0.1)
    recorder.begin_epoch(2, "TRAIN", 30)
    _train(recorder, model, 5, seconds=100.0)
    recorder.close()
    records = _read(path)
    losses = [(r["mode"], r["step"]) for r in records if r["collection"] == "losses"]
    assert losses == [
        *(("TRAIN", step) for step in range(30)),
        ("EVAL", 0),
        *(("TRAIN", step) for step in range(30, 35)),
    ]
    sampled = sorted({r["step"] for r in records if r["collection"] == "weights"})
    assert sampled == [0, 1, 1 + SHORTEST_STRIDE, 30]
    assert {r["epoch"] for r in records if r["step"] >= 30} == {2}
    assert {r["mode"] for r in records if r["collection"] != "losses"} == {"TRAIN"}


def test_the_stride_follows_the_cost(tmp_path: Path) -> None:
    model = Net()
    recorder = _recorder(tmp_path / "reductions.jsonl", model)
    recorder.begin_epoch(1, "TRAIN", 0)
    began = time.perf_counter()
    # Steps of 10 microseconds: a sample costs far more, so the next one is far away.
    _train(recorder, model, 400, seconds=1e-5)
    assert recorder.stride > 1000
    assert 0 < recorder.total_seconds < time.perf_counter() - began
    recorder.close()


def test_hooks_are_there_in_sampled_steps_only(tmp_path: Path) -> None:
    model = Net()
    recorder = _recorder(tmp_path / "reductions.jsonl", model)
    hooks = model.relu._forward_hooks
    assert len(hooks) == 0
    recorder.begin_epoch(1, "TRAIN", 0)
    assert len(hooks) == 1
    _train(recorder, model, 2, seconds=100.0)
    assert len(hooks) == 0
    recorder.begin_epoch(1, "EVAL", 0)
    assert len(hooks) == 0
    recorder.begin_epoch(2, "TRAIN", 2)
    assert len(hooks) == 1
    recorder.close()
    assert len(hooks) == len(model._forward_hooks) == 0


def test_own_time_in_the_forward_phase_is_known(tmp_path: Path) -> None:
    model = Net()
    recorder = _recorder(tmp_path / "reductions.jsonl", model)
    recorder.begin_epoch(1, "TRAIN", 0)
    assert recorder.own_seconds == 0
    began = time.perf_counter()
    model(torch.randn(4, 6))
    assert 0 < recorder.own_seconds < time.perf_counter() - began
    recorder.end_step(1.0, 1.0)
    assert recorder.own_seconds == 0
    recorder.close()


def test_a_model_that_diverged_is_recorded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, path = Net(), tmp_path / "reductions.jsonl"
    recorder = _recorder(path, model)
    recorder.begin_epoch(1, "TRAIN", 0)
    with torch.no_grad():
        model.head.bias.fill_(float("nan"))
    _train(recorder, model, 1)
    recorder.close()
    records = {r["name"]: r for r in _read(path)}
    assert records["loss"]["nan"] == 1
    assert records["loss"]["mean"] is None
    assert records["Net_head.bias"]["nan"] == 3


def test_the_quota_is_kept_and_drops_are_counted(tmp_path: Path) -> None:
    model, path = Net(), tmp_path / "reductions.jsonl"
    recorder = _recorder(path, model, quota_bytes=20_000)
    for epoch in range(1, 61):
        recorder.begin_epoch(epoch, "TRAIN", (epoch - 1) * 5)
        _train(recorder, model, 5)
    recorder.close()
    summary = recorder.summary()["reductions"]
    assert path.stat().st_size <= 20_000
    assert summary["dropped"] > 0
    losses = [r["step"] for r in _read(path) if r["collection"] == "losses"]
    # Thinned rather than cut: the end of the training shows too.
    assert losses[0] == 0
    assert max(losses) > 250
    assert len(losses) < 300


def test_a_quota_thins_from_half_on() -> None:
    quota = Quota(10)
    assert quota.take(4)
    assert quota.thinning == 1
    assert quota.take(4)
    assert quota.thinning == THINNING
    assert not quota.take(4)
    assert (quota.used, quota.dropped) == (8, 1)


def test_a_quota_is_spread_over_the_steps() -> None:
    quota = Quota(100)
    taken = [step for step in range(0, 2000, 20) if quota.take_at(step, 10)]
    assert taken == [0, 20, 40, 60, 80, 160, 320, 640, 1280]
    assert quota.dropped == 100 - 9
    # All tensors of a step, or none.
    quota = Quota(100)
    assert [quota.take_at(5, 30) for _ in range(3)] == [True, True, True]


def test_an_error_in_a_hook_does_not_reach_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Net()
    containment = Containment("instrumentation", on_failure=lambda: recorder.detach())
    monkeypatch.setattr("sm_entrypoints.instrumentation.line_writer.FLUSH_LINES", 1)
    # A disk that is always full.
    (tmp_path / "reductions.jsonl").symlink_to("/dev/full")
    recorder = ReductionRecorder(tmp_path, model, containment=containment)
    recorder.begin_epoch(1, "TRAIN", 0)
    assert model(torch.randn(4, 6)).shape == (4, 3)
    assert containment.failure is not None
    assert "No space" in containment.failure
    assert len(model.relu._forward_hooks) == 0
    assert "training continues" in capsys.readouterr().out
    with pytest.raises(OSError, match="No space"):
        recorder.close()


class Odd(nn.Module):
    """Parameters and activations of odd kinds: scalar, sparse gradient, unused, bfloat16, views."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 6, sparse=True)
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.unused = nn.Parameter(torch.ones(3))
        self.empty = nn.Parameter(torch.empty(0, 4))
        self.coarse = nn.Linear(6, 5, dtype=torch.bfloat16)
        self.turned = nn.Parameter(torch.randn(3, 5).T)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.relu(self.coarse(self.embedding(x).bfloat16()))
        return (self.relu(hidden.T).T.float() @ self.turned) * self.scale


def test_odd_parameters_are_described(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, path = Odd(), tmp_path / "reductions.jsonl"
    failures: list[str] = []
    containment = Containment("test", on_failure=lambda: failures.append("failed"))
    recorder = ReductionRecorder(tmp_path, model, containment=containment, stride=1)
    recorder.begin_epoch(1, "TRAIN", 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        loss = LOSS(model(torch.tensor([3, 3, 7, 9])), torch.tensor([0, 1, 2, 0]))
        optimizer.zero_grad()
        loss.backward()
        recorder.before_update()
        optimizer.step()
        recorder.end_step(float(loss.detach()), 0.01)
    recorder.close()
    assert failures == []
    found = {r["name"] for r in _read(path)}
    assert {"gradient/Odd_embedding.weight", "gradient/Odd_scale", "Odd_empty"} <= found
    assert {"update_ratio/Odd_coarse.weight", "relu_input_1", "output"} <= found
    assert "gradient/Odd_unused" not in found


def test_a_wrapped_model_is_looked_through(tmp_path: Path) -> None:
    """As DistributedDataParallel does it: the wrapper calls the module that has the hooks."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1
    )
    try:
        model, path = Net(), tmp_path / "reductions.jsonl"
        wrapped = nn.parallel.DistributedDataParallel(model)
        recorder = _recorder(path, model, stride=1)
        recorder.begin_epoch(1, "TRAIN", 0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loss = LOSS(wrapped(torch.randn(4, 6)), torch.tensor([0, 1, 2, 0]))
        loss.backward()
        recorder.before_update()
        optimizer.step()
        recorder.end_step(float(loss.detach()), 0.01)
        recorder.close()
    finally:
        torch.distributed.destroy_process_group()
    names = {r["name"] for r in _read(path)}
    assert {"input", "relu_input_1", "gradient/Net_first.weight", "output"} <= names


def test_histograms_come_with_the_first_samples(tmp_path: Path) -> None:
    model = Net()
    recorder = _recorder(tmp_path / "reductions.jsonl", model, stride=5)
    recorder.begin_epoch(1, "TRAIN", 0)
    _train(recorder, model, 12)
    recorder.close()
    found = _read(tmp_path / "histograms.jsonl")
    assert [(r["collection"], r["name"]) for r in found[:3]] == [
        ("outputs", "output"),
        ("gradients", "gradient/Net_head.weight"),
        ("weights", "Net_head.weight"),
    ]
    assert sorted({r["step"] for r in found}) == [0, 1, 6, 11]
    assert sum(found[0]["counts"]) == 4 * 3
    assert recorder.summary()["histograms"]["records"] == len(found)
