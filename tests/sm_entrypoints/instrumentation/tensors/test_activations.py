"""What flows through a network, by smdebug's names, and only while somebody asks."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sm_entrypoints.instrumentation.tensors.activations import Activations, first_tensor
from sm_entrypoints.instrumentation.tensors.summary import summarize
from sm_entrypoints.job.containment import Containment


class Logits(NamedTuple):
    """As GoogLeNet's outputs in training."""

    logits: Tensor
    aux: None


class Net(nn.Module):
    """Every function whose inputs or outputs are asked for; one ReLU called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.gates = nn.Sequential(nn.Tanh(), nn.Sigmoid(), nn.ReLU6())

    def forward(self, x: Tensor) -> Logits:
        return Logits(self.gates(self.relu(self.relu(x) - 1)), None)


def _watch(model: nn.Module) -> tuple[Activations, list[tuple[str, str, Tensor, Any]]]:
    seen: list[tuple[str, str, Tensor, Any]] = []

    def record(collection: str, name: str, value: Tensor, active: Any) -> None:
        seen.append((collection, name, value.clone(), active))

    containment = Containment("test", on_failure=lambda: None)
    return Activations(model, record, containment), seen


def test_everything_by_its_name_in_order() -> None:
    model = Net()
    activations, seen = _watch(model)
    activations.attach()
    inputs = torch.randn(4, 6)
    given = inputs.clone()
    model(inputs)
    assert [(collection, name) for collection, name, _, _ in seen] == [
        ("inputs", "input"),
        ("relu_input", "relu_input_0"),
        ("relu_output", "relu_output_0"),
        ("relu_input", "relu_input_1"),
        ("relu_output", "relu_output_1"),
        ("tanh_input", "gates.0_input_0"),
        ("sigmoid_input", "gates.1_input_0"),
        ("relu_input", "gates.2_input_0"),
        ("relu_output", "gates.2_output_0"),
        ("outputs", "output"),
    ]
    assert torch.equal(seen[1][2], given)  # before the in-place call overwrote it
    assert 0 < activations.seconds < 1


def test_nothing_while_detached() -> None:
    model = Net()
    activations, seen = _watch(model)
    activations.attach()
    activations.detach()
    model(torch.randn(4, 6))
    assert seen == []
    assert not any(len(module._forward_hooks) for module in model.modules())


def test_saturated_units_are_those_beyond_awss_bounds() -> None:
    model = Net()
    activations, seen = _watch(model)
    activations.attach()
    model.gates[0](torch.tensor([[9.4, 9.5, -9.5, 0.0]]).repeat(8, 1))
    model.gates[1](torch.tensor([[16.9, 17.0, -22.9, -23.1]]).repeat(8, 1))
    shares = [summarize(value, active).inactive_fraction for _, _, value, active in seen]
    assert shares == [0.5, 0.5]


def test_what_fails_stays_here(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: Any) -> None:
        raise OSError("disk full")

    model = Net()
    containment = Containment("instrumentation", on_failure=lambda: activations.detach())
    activations = Activations(model, fail, containment)
    activations.attach()
    assert model(torch.randn(4, 6)).logits.shape == (4, 6)
    assert containment.failure == "OSError: disk full"
    assert len(model._forward_hooks) == 0
    assert capsys.readouterr().out.count("training continues") == 1


def test_the_first_tensor_of_anything() -> None:
    one = torch.ones(1)
    assert first_tensor(one) is one
    assert first_tensor(Logits(one, None)) is one
    assert first_tensor({"a": None, "b": [one]}) is one
    assert first_tensor("text") is None
    assert first_tensor(None) is None
