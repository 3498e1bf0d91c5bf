from __future__ import annotations

import pytest
import torch

from sm_entrypoints.models.model import build_model
from sm_entrypoints.states.likeness import looks_like

pytestmark = pytest.mark.slow


def test_the_backbone_tells_the_architecture() -> None:
    state = dict(build_model("resnet34", 9).state_dict())
    own = {f"module.{name}": value for name, value in state.items() if not name.startswith("fc")}
    assert looks_like({**own, "module.fc.0.weight": torch.zeros(1)}) == "resnet34"
    assert looks_like({"a.b": torch.zeros(2)}) is None
