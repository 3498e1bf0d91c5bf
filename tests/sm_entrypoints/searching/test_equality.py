"""A packed trial is the training that train.py does alone, in every epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sm_entrypoints.training.preparation import build
from tests.sm_entrypoints.searching.world import TRIALS, World, assert_equal, make_world


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "size", "way"),
    [
        pytest.param("mobilenet_v2", 32, "linear", marks=pytest.mark.slow),  # dropout, linear
        # dropout, convolution, mean over its map
        pytest.param("squeezenet1_1", 48, "stacked", marks=pytest.mark.slow),
        ("mobilenet_v3_small", 32, "linear"),  # linear, function, dropout, linear
    ],
)
def test_a_packed_trial_is_the_same_training(
    tmp_path: Path, model: str, size: int, way: str
) -> None:
    world = make_world(tmp_path, model, image_size=size)
    assert_way(world, way)
    assert_equal(world, TRIALS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("squeezenet1_1", 48),  # features are maps
        ("mobilenet_v3_small", 32),  # shared layers come first
    ],
)
def test_a_packed_trial_shows_the_views_that_its_own_training_shows(
    tmp_path: Path, model: str, size: int
) -> None:
    world = make_world(tmp_path, model, image_size=size, views=2)
    assert_equal(world, TRIALS[:5])


@pytest.mark.parametrize(
    ("model", "size", "way", "weights"),
    [
        ("alexnet", 64, "linear", {}),  # two frozen linear layers, each after a dropout
        ("resnet18", 32, "linear", {"head": True}),  # a head that the weights have
        # Layers before the head that have no weights learn too, at a rate of their own.
        ("mobilenet_v3_small", 32, "stacked", {"without": ["classifier.0"]}),
        ("convnext_tiny", 32, "apart", {"without": ["classifier.0"]}),
    ],
)
@pytest.mark.slow
def test_any_tail_is_packed(
    tmp_path: Path, model: str, size: int, way: str, weights: dict[str, Any]
) -> None:
    world = make_world(tmp_path, model, image_size=size, **weights)
    assert_way(world, way)
    # Alexnet is large, and built anew for each training alone.
    assert_equal(world, TRIALS[1:2] if model == "alexnet" else [TRIALS[0], *TRIALS[1:5:3]])


def assert_way(world: World, way: str) -> None:
    built = build(world.arguments(), world.environment, world.splits)
    assert world.shared(built).plan.way == way
