"""A step that breaks is described at that very step, and the tensor that broke first is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.instrumentation.tensors.non_finite import MOST_EVENTS
from sm_entrypoints.instrumentation.tensors.reductions import ReductionRecorder
from sm_entrypoints.job.containment import Containment

LOSS = nn.CrossEntropyLoss()


class Net(nn.Module):
    """A convolution, batch normalisation, in-place ReLU, dropout and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.conv(x)))
        return self.head(self.drop(x.mean((2, 3))))


class Training:
    """Ten steps of a real training whose step 7, never a sampled one, can be broken."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        self.model = Net()
        self.records: list[TensorRecord] = []
        self.recorder = ReductionRecorder(
            folder,
            self.model,
            containment=Containment("test", on_failure=lambda: None),
            stride=1000,
            observe=self.records.append,
        )
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.scale = 1.0
        self.inputs = torch.randn(4, 3, 8, 8)

    def run(self, first: int, steps: int) -> None:
        self.recorder.begin_epoch(1, "TRAIN", first)
        for _ in range(steps):
            loss = LOSS(self.model(self.inputs), torch.tensor([0, 1, 2, 0])) * self.scale
            self.optimizer.zero_grad()
            loss.backward()
            self.recorder.before_update()
            self.optimizer.step()
            self.recorder.end_step(float(loss.detach()), 0.01)

    def events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.recorder.summary()["non_finite"]
        return events

    def at(self, step: int) -> dict[str, TensorRecord]:
        return {record.name: record for record in self.records if record.step == step}


@pytest.fixture
def training(tmp_path: Path) -> Iterator[Training]:
    training = Training(tmp_path)
    training.run(0, 7)
    assert set(training.at(6)) == {"loss"}
    assert training.events() == []
    yield training
    training.recorder.close()


def test_a_broken_weight_is_named_and_the_step_is_sampled(
    training: Training, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with torch.no_grad():
        training.model.norm.weight[1] = float("nan")
    training.run(7, 1)
    event = training.events()[0]
    assert event["first"] == "Net_norm.weight"
    assert (event["step"], event["epoch"], event["mode"]) == (7, 1, "TRAIN")
    assert event["gradients"] > 0
    found = training.at(7)
    assert found["loss"].nan == 1
    assert found["relu_input_0"].nan == 4 * 6 * 6
    assert found["output"].nan == 12
    assert found["input"].nan == 0
    assert found["gradient/Net_head.weight"].nan > 0
    assert found["Net_norm.weight"].nan > 0
    said = capsys.readouterr().out
    assert said == "TRAIN step 7 (epoch 1) is not finite, first Net_norm.weight\n"
    training.recorder.close()
    lines = (tmp_path / "reductions.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if '"output"' in line][-1] == 7


def test_an_activation_that_overflows_is_named(training: Training) -> None:
    with torch.no_grad():
        training.model.head.weight.mul_(0).add_(3e38)
        training.model.norm.bias.fill_(10)
    training.run(7, 1)
    event = training.events()[0]
    assert event["first"] == "head_output_0"
    assert training.at(7)["output"].inf + training.at(7)["output"].nan > 0


def test_a_broken_input_is_named(training: Training) -> None:
    training.inputs[2, 1, 3, 3] = float("inf")
    training.run(7, 1)
    assert training.events()[0]["first"] == "input"
    assert training.at(7)["input"].inf == 1


def test_a_broken_loss_of_finite_outputs_is_described_too(training: Training) -> None:
    training.scale = float("inf")
    training.run(7, 1)
    assert training.at(7)["loss"].inf == 1
    assert training.events()[0]["gradients"] > 0
    assert training.events()[0]["first"].startswith("Net_conv")  # the update has happened
    assert training.at(7)["gradient/Net_head.weight"].nan > 0


def test_a_broken_evaluation_names_the_weight(training: Training) -> None:
    with torch.no_grad():
        training.model.norm.running_mean[0] = float("nan")
    training.recorder.begin_epoch(1, "EVAL", 0)
    training.recorder.end_step(float("nan"), 0.01)
    assert training.events()[0]["first"] == "Net_norm.running_mean"
    assert training.events()[0]["mode"] == "EVAL"


def test_looking_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers, random numbers and hooks are those of a training that nobody looked at."""
    states = []
    for most in (0, MOST_EVENTS):
        monkeypatch.setattr("sm_entrypoints.instrumentation.tensors.non_finite.MOST_EVENTS", most)
        training = Training(tmp_path / str(most))
        called: list[int] = []
        training.model.conv.register_forward_hook(lambda *_, called=called: called.append(1))
        training.run(0, 7)
        training.inputs[0, 0, 0, 0] = float("inf")
        training.run(7, 2)
        assert len(training.events()) == min(most, 2)
        assert len(called) == 9
        assert len(training.model.head._forward_hooks) == 0
        training.recorder.close()
        states.append((training.model.state_dict(), torch.get_rng_state()))
    (one, random), (other, same_random) = states
    assert torch.equal(random, same_random)
    assert all(torch.equal(one[name].nan_to_num(7), other[name].nan_to_num(7)) for name in one)


def test_only_the_first_events_are_described(training: Training) -> None:
    with torch.no_grad():
        training.model.conv.weight[0] = float("nan")
    training.run(7, 20)
    assert [event["step"] for event in training.events()] == [7, 8, 9]
    assert sum(record.nan for record in training.records if record.name == "loss") == 20


def test_large_but_finite_outputs_are_no_event(training: Training) -> None:
    with torch.no_grad():
        training.model.head.bias.fill_(3e38)
    training.run(7, 1)
    assert training.events() == []
