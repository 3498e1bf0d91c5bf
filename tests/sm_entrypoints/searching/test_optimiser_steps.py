"""Both ways to step the heads of several trials are torch's own optimisers, trial by trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.searching.optimiser_steps import Moments, fused, stacked
from sm_entrypoints.training.optimisation import make_optimizer

STEPS, CLASSES, NUMBERS = 40, 3, 5
WHERE = {"weight": (CLASSES, NUMBERS), "bias": (CLASSES,)}

TRIALS = {
    "adamw": [
        {"optimizer": "adamw", "lr": 0.1, "weight_decay": 0.3, "eps": 1e-3},
        {"optimizer": "adamw", "lr": 1e-4, "weight_decay": 0.0, "eps": 1e-8},
        {"optimizer": "adamw", "lr": 0.01, "weight_decay": 1e-5, "eps": 1e-6},
    ],
    "adam": [
        {"optimizer": "adam", "lr": 0.1, "weight_decay": 0.3},
        {"optimizer": "adam", "lr": 1e-3, "weight_decay": 0.0},
    ],
    "sgd": [
        {"optimizer": "sgd", "lr": 0.1, "weight_decay": 0.3, "momentum": 0.9},
        {"optimizer": "sgd", "lr": 1e-3, "weight_decay": 0.0, "momentum": 0.0},
    ],
}


class _Network(nn.Module):
    """What an optimiser of ``train.py`` is made for: a head, and nothing before it."""

    def __init__(self, values: dict[str, Tensor]) -> None:
        super().__init__()
        self.fc = nn.Linear(NUMBERS, CLASSES)
        for name, value in values.items():
            getattr(self.fc, name).data = value.clone()


def _rate(arguments: TrainingArguments, step: int) -> float:
    return arguments.lr / (1 + step)


def _one_by_one(
    values: dict[str, Tensor], gradients: list[dict[str, Tensor]], arguments: TrainingArguments
) -> dict[str, Tensor]:
    network = _Network(values)
    optimizer = make_optimizer(network, arguments, pretrained=True)
    for step, each in enumerate(gradients):
        for name, gradient in each.items():
            getattr(network.fc, name).grad = gradient.clone()
        optimizer.param_groups[0]["lr"] = _rate(arguments, step)
        optimizer.step()
    return {name: getattr(network.fc, name).detach() for name in WHERE}


def _by_rows(moments: Moments, trials: Sequence[TrainingArguments], step: int) -> None:
    for row, arguments in enumerate(trials):
        part = Moments(*([each[row : row + 1] for each in kind] for kind in moments))
        fused(part, arguments, _rate(arguments, step), torch.tensor(step + 1.0))


def _stacked(moments: Moments, trials: Sequence[TrainingArguments], step: int) -> None:
    stacked(moments, trials, [_rate(each, step) for each in trials], step + 1)


@pytest.mark.parametrize("way", [_by_rows, _stacked])
@pytest.mark.parametrize("kind", TRIALS)
def test_heads_step_as_torch_steps_each(
    way: Callable[[Moments, Sequence[TrainingArguments], int], None], kind: str
) -> None:
    trials = [TrainingArguments(**each) for each in TRIALS[kind]]
    draw = torch.Generator().manual_seed(0)
    values, *gradients = (
        {name: torch.randn(len(trials), *shape, generator=draw) for name, shape in WHERE.items()}
        for _ in range(1 + STEPS)
    )
    moments = Moments(
        values=[values[name].clone() for name in WHERE],
        gradients=[torch.empty_like(values[name]) for name in WHERE],
        means=[torch.zeros_like(values[name]) for name in WHERE],
        squares=[torch.zeros_like(values[name]) for name in WHERE],
    )
    for step, each in enumerate(gradients):
        for into, name in zip(moments.gradients, WHERE, strict=True):
            into.copy_(each[name])
        way(moments, trials, step)
    for row, arguments in enumerate(trials):
        expected = _one_by_one(
            {name: value[row] for name, value in values.items()},
            [{name: each[name][row] for name in WHERE} for each in gradients],
            arguments,
        )
        for found, name in zip(moments.values, WHERE, strict=True):
            torch.testing.assert_close(found[row], expected[name], rtol=1e-5, atol=1e-6)
