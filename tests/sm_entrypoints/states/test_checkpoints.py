from __future__ import annotations

from typing import Any

import pytest
import torch

from sm_entrypoints.states.checkpoints import StateError, refused, state_in

STATE = {"fc.weight": torch.zeros(2, 3)}
OPTIMIZER = {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.parametrize(
    "loaded",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE, "optimizer": OPTIMIZER, "best_acc": 0.9},
        {"model_state_dict": STATE, "optimizer_state_dict": OPTIMIZER},
        {"checkpoint": {"net": STATE}, "args": {"lr": 0.1}, "epoch": 1, "my_weights": STATE},
        {"student": STATE, "epoch": 1},
    ],
)
def test_where_scripts_put_it(loaded: dict[str, Any]) -> None:
    assert state_in(loaded).keys() == STATE.keys()


@pytest.mark.parametrize(
    ("loaded", "said"),
    [
        ([1], "does not hold a state_dict but a list"),
        ({}, "does not hold a state_dict but a dict"),
        ({"step": 3}, r"\['step'\] are not tensors"),
        ({"teacher": STATE, "student": STATE}, r"several state_dicts \(student, teacher\)"),
    ],
)
def test_what_is_none(loaded: Any, said: str) -> None:
    with pytest.raises(StateError, match=said):
        state_in(loaded)


def test_refusals_are_said_in_words() -> None:
    said = "Weights only load failed.\nUnsupported global: GLOBAL argparse.Namespace was not"
    assert "a Python object (argparse.Namespace) beside tensors" in refused(said)
    assert "TorchScript archive" in refused(
        "Cannot use weights_only=True with TorchScript archives"
    )
    assert refused("") == "it is empty or damaged"
