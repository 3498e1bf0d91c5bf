from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sm_entrypoints.contract import IMAGENET_STD
from sm_entrypoints.models.model import build_model
from sm_entrypoints.models.weights import (
    WeightsError,
    fit_weights,
    load_fit,
    read_normalisation,
    read_weights,
)

State = dict[str, Tensor]
HEAD = ("classifier.1.weight", "classifier.1.bias")


def weights(classes: int = 3) -> State:
    torch.manual_seed(7)
    return dict(build_model("squeezenet1_1", classes).state_dict())


def test_weights_that_fit_are_loaded_whole() -> None:
    model = build_model("squeezenet1_1", 3)
    fit = fit_weights(weights(), model, architecture="squeezenet1_1", source="w")
    load_fit(model, fit)
    assert (fit.head, fit.notes) == (True, ())
    assert all(torch.equal(model.state_dict()[name], value) for name, value in weights().items())


def _no_head(state: State) -> None:
    for name in HEAD:
        del state[name]


def _other_head(state: State) -> None:
    state.update({name: value for name, value in weights(9).items() if name in HEAD})


def _half_a_head(state: State) -> None:
    del state[HEAD[1]]


@pytest.mark.parametrize(
    ("change", "said"),
    [(_no_head, "no head"), (_other_head, "9x512x1x1 for 3x512x1x1"), (_half_a_head, "not fit")],
)
def test_a_head_may_differ(change: Callable[[State], None], said: str) -> None:
    state = weights()
    change(state)
    model = build_model("squeezenet1_1", 3)
    fit = fit_weights(state, model, architecture="squeezenet1_1", source="w")
    assert not fit.head
    assert said in fit.notes[0]
    assert not set(fit.tensors) & set(HEAD)


@pytest.mark.parametrize(
    ("architecture", "replaced", "left", "fresh"),
    [
        (
            "resnet18",
            {"fc.0": (64, 512), "fc.3": (3, 64)},
            "fc.0.weight, fc.0.bias, fc.3.weight",
            (),
        ),
        (
            "mobilenet_v2",
            {"classifier.0": (8, 1280), "classifier.2": (3, 8)},
            "classifier.0.weight",
            (),
        ),
        pytest.param(  # the making of an alexnet takes a second
            "alexnet",
            {"classifier.6.0": (8, 4096), "classifier.6.2": (3, 8)},
            "classifier.6.0.weight",
            (),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "alexnet",
            {"classifier.1": (8, 9216), "classifier.3": (3, 8)},
            "classifier.1.weight",
            ("classifier.1", "classifier.4"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_head_that_is_another_network_is_left_out(
    architecture: str, replaced: dict[str, tuple[int, int]], left: str, fresh: tuple[str, ...]
) -> None:
    model = build_model(architecture, 3)
    whole = "classifier.1" in replaced or architecture != "alexnet"
    region = ("fc." if architecture == "resnet18" else "classifier.") if whole else "classifier.6."
    state = {n: v.clone() for n, v in model.state_dict().items() if not n.startswith(region)}
    for layer, shape in replaced.items():
        state |= {f"{layer}.weight": torch.zeros(shape), f"{layer}.bias": torch.zeros(shape[0])}
    fit = fit_weights(state, model, architecture=architecture, source="w")
    assert not fit.head
    assert fit.fresh == fresh
    assert any(note.startswith(f"left out: {left}") for note in fit.notes), fit.notes
    assert set(fit.tensors) == {name for name in state if not name.startswith(region)}


def _missing(state: State) -> None:
    del state["features.0.weight"]


def _unknown(state: State) -> None:
    state["extra.weight"] = torch.zeros(1)


def _shape(state: State) -> None:
    state["features.0.bias"] = torch.zeros(5)


def _not_finite(state: State) -> None:
    state["features.0.bias"][0] = torch.nan


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_missing, "1 tensor is missing: features.0.weight"),
        (_unknown, "1 tensor is unknown: extra.weight"),
        (_shape, "features.0.bias 5 instead of 64"),
        (_not_finite, "not finite: features.0.bias"),
    ],
)
def test_any_other_difference_is_named(change: Callable[[State], None], said: str) -> None:
    state = weights()
    change(state)
    with pytest.raises(WeightsError, match=said):
        fit_weights(
            state, build_model("squeezenet1_1", 3), architecture="squeezenet1_1", source="w"
        )


def test_another_architecture_names_its_first_tensors() -> None:
    model = build_model("resnet18", 3)
    with pytest.raises(
        WeightsError, match=r"w does not belong to model 'resnet18': 1\d\d tensors are"
    ):
        fit_weights(weights(), model, architecture="resnet18", source="w")


def test_a_file_that_is_no_safetensors_is_named(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"PK not safetensors")
    with pytest.raises(WeightsError, match=r"w\.safetensors cannot be read"):
        read_weights(file)


def test_normalisation_travels_in_the_header(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, file, {"mean": "[0.5, 0.5, 0.5]", "std": "nonsense"})
    assert read_normalisation(file) == ((0.5, 0.5, 0.5), IMAGENET_STD)
