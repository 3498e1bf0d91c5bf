from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from sm_entrypoints.models.model import build_model
from sm_entrypoints.states.names import renamed

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(1)
    return build_model("resnet18", 5)


def prefixed(state: Mapping[str, Tensor], prefix: str) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "model.", "net.cnn."],
)
def test_whatever_stands_before_the_names_goes(model: nn.Module, prefix: str) -> None:
    found = renamed(prefixed(model.state_dict(), prefix), model)
    assert set(found.tensors) == set(model.state_dict())
    assert found.outside == ()


def test_a_class_of_ones_own_around_a_backbone(model: nn.Module) -> None:
    own = prefixed({n: v for n, v in model.state_dict().items() if n[:3] != "fc."}, "backbone.")
    own |= {"head.0.weight": torch.zeros(7, 512), "temperature": torch.ones(1)}
    found = renamed(own, model)
    assert len(found.tensors) == len(model.state_dict()) - 2
    assert found.outside == ("head.0.weight", "temperature")
    assert torch.equal(found.tensors["conv1.weight"], model.state_dict()["conv1.weight"])


def test_children_in_a_sequence_have_their_names_again(model: nn.Module) -> None:
    body = nn.Sequential(*list(model.children())[:-1])
    own = nn.ModuleDict({"features": body, "classifier": nn.Linear(512, 5)}).state_dict()
    found = renamed(own, model)
    wanted = model.state_dict()
    assert set(found.tensors) == {name for name in wanted if not name.startswith("fc.")}
    assert all(torch.equal(value, wanted[name]) for name, value in found.tensors.items())
    assert found.outside == ("classifier.weight", "classifier.bias")


def test_strange_names_stay(model: nn.Module) -> None:
    strange = {"encoder.embedding": torch.zeros(2)}
    assert renamed(strange, model).tensors == strange
