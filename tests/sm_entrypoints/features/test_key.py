from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from sm_entrypoints.features import key as module
from sm_entrypoints.features.backbone import Built
from sm_entrypoints.features.key import FeatureKey
from tests.sm_entrypoints.features.worlds import built

SAME = built()
KEY = FeatureKey.of(SAME)


def of(**changes: Any) -> FeatureKey:
    return FeatureKey.of(replace(SAME, **changes))


def card(**changes: Any) -> FeatureKey:
    return of(card=replace(SAME.card, **changes))


def compute(**changes: Any) -> FeatureKey:
    return of(compute=replace(SAME.compute, **changes))


def changed(name: str) -> Built:
    made = built()
    with torch.no_grad():
        made.model.state_dict()[name].view(-1)[0] += 1e-3
    return made


def test_the_same_backbone_has_the_same_key() -> None:
    assert FeatureKey.of(built()) == KEY
    assert FeatureKey.of(built()).digest == KEY.digest
    assert len(KEY.digest) == 64


OTHERS = {
    "image_size": card(image_size=65),
    "resize_size": card(resize_size=74),
    "mean": card(mean=(0.5, 0.456, 0.406)),
    "std": card(std=(0.5, 0.224, 0.225)),
    "dtype": compute(dtype=torch.bfloat16),
    "channels_last": compute(channels_last=True),
    "device": compute(device=torch.device("cuda")),
    "architecture": card(architecture="mobilenet_v3_small"),
    "weights": FeatureKey.of(built(seed=1)),
    "compiled": replace(KEY, compiled=True),
    "preprocessing": card(preprocessing=2),
    **{name: replace(KEY, **{name: "0.0"}) for name in ("torch", "torchvision", "pillow")},
}


def test_no_member_was_forgotten() -> None:
    assert OTHERS.keys() == {each.name for each in fields(FeatureKey)}


@pytest.mark.parametrize("name", OTHERS)
def test_another_value_of_any_member_is_another_key(name: str) -> None:
    other = OTHERS[name]
    assert getattr(other, name) != getattr(KEY, name)
    assert other.digest != KEY.digest


@pytest.mark.parametrize("name", ["features.0.weight", "features.12.expand3x3.bias"])
def test_any_tensor_before_the_tail_counts(name: str) -> None:
    assert FeatureKey.of(changed(name)).weights != KEY.weights


def test_the_head_does_not_count() -> None:
    assert FeatureKey.of(changed("classifier.1.weight")) == KEY


@pytest.mark.parametrize("library", ["torch", "torchvision", "PIL"])
def test_another_version_of_a_library_is_another_key(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getattr(module, library), "__version__", "0.0")
    assert of().digest != KEY.digest
