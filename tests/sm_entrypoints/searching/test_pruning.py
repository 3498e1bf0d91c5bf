"""Trials that fall behind end early, where that pays; the winner is as it would be without."""

from __future__ import annotations

from typing import Any

import pytest

from sm_entrypoints.searching.trial import Trial
from tests.sm_entrypoints.searching.world import World, make_world

RATES = (0.01, 0.003, 1e-7, 1e-8)
HOPELESS = (2, 3)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"), "mobilenet_v2")


def trained(world: World, epochs: int, **options: Any) -> list[Trial]:
    return world.packed([world.arguments(lr=lr, epochs=epochs) for lr in RATES], **options)


def test_the_hopeless_are_pruned_and_the_winner_is_not(world: World) -> None:
    pruned, whole = trained(world, 12, pruning="auto"), trained(world, 12)
    assert [trial.status for trial in whole] == ["Completed"] * 4
    for number in HOPELESS:
        assert pruned[number].status == "Stopped"
        assert pruned[number].why == "fell behind by epoch 3"
        assert pruned[number].epochs == 3
    best = min(whole, key=lambda trial: trial.best_loss or 0.0)
    assert best.number not in HOPELESS
    kept = pruned[best.number]
    assert (kept.status, kept.epochs) == ("Completed", 12)
    assert kept.best_loss == pytest.approx(best.best_loss, rel=1e-6)
    assert sum(trial.epochs for trial in pruned) <= 12 + 6 + 3 + 3, "half of what is left each time"


@pytest.mark.parametrize(
    ("epochs", "pruning", "statuses"),
    [
        (4, "auto", {"Completed"}),
        (12, "off", {"Completed"}),
        (6, "on", {"Completed", "Stopped"}),
    ],
)
def test_short_trials_are_pruned_only_when_asked(
    world: World, epochs: int, pruning: str, statuses: set[str]
) -> None:
    assert {trial.status for trial in trained(world, epochs, pruning=pruning)} == statuses
