from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from torch import optim

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.models.model import build_model
from sm_entrypoints.training.network import freeze_backbone
from sm_entrypoints.training.optimisation import make_optimizer, rate_factor, set_rate

ARGUMENTS = TrainingArguments(epochs=10)


@pytest.mark.parametrize(
    ("schedule", "at"),
    [
        ("constant", {0: 1.0, 99: 1.0}),
        ("cosine", {0: 1.0, 50: 0.5, 100: 0.0}),
        ("step", {0: 1.0, 33: 1.0, 34: 0.1, 67: 0.01}),
        ("onecycle", {0: 1 / 25, 30: 1.0, 100: 1 / 250_000}),
    ],
)
def test_schedules_go_through_known_points(schedule: Any, at: dict[int, float]) -> None:
    arguments = replace(ARGUMENTS, schedule=schedule)
    for step, factor in at.items():
        assert rate_factor(arguments, step, 10) == pytest.approx(factor, abs=1e-9)


def test_warm_up_rises_to_the_peak() -> None:
    arguments = replace(ARGUMENTS, schedule="constant", warmup_epochs=1)
    factors = [rate_factor(arguments, step, 10) for step in range(11)]
    assert factors == sorted(factors)
    assert 0 < factors[0] < factors[9] < factors[10] == 1.0


@pytest.mark.parametrize(
    ("pretrained", "backbone_lr", "rates"),
    [(True, None, [0.5, 0.05]), (False, None, [0.5, 0.5]), (True, 0.2, [0.5, 0.2])],
)
def test_head_and_backbone_have_their_own_rates(
    pretrained: bool, backbone_lr: float | None, rates: list[float]
) -> None:
    model = build_model("squeezenet1_1", 3)
    arguments = replace(ARGUMENTS, lr=0.5, backbone_lr=backbone_lr)
    optimizer = make_optimizer(model, arguments, pretrained=pretrained)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(rates)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(
        list(model.parameters())
    )
    assert set_rate(optimizer, 0.5) == pytest.approx(0.25)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(
        [rate / 2 for rate in rates]
    )


def test_a_frozen_backbone_is_not_optimised() -> None:
    model = build_model("squeezenet1_1", 3)
    freeze_backbone(model)
    (group,) = make_optimizer(model, ARGUMENTS, pretrained=True).param_groups
    assert len(group["params"]) == 2


@pytest.mark.parametrize(
    ("name", "kind", "option"),
    [
        ("sgd", optim.SGD, "momentum"),
        ("adam", optim.Adam, "eps"),
        ("adamw", optim.AdamW, "eps"),
    ],
)
def test_hyperparameters_reach_the_optimiser(
    name: Any, kind: type[optim.Optimizer], option: str
) -> None:
    arguments = replace(ARGUMENTS, optimizer=name, eps=0.01, momentum=0.01, weight_decay=0.5)
    optimizer = make_optimizer(build_model("squeezenet1_1", 3), arguments, pretrained=False)
    assert type(optimizer) is kind
    assert optimizer.param_groups[0][option] == 0.01
    assert optimizer.param_groups[0]["weight_decay"] == 0.5
