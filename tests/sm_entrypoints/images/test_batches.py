from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from sm_entrypoints.images.batches import BatchOrder, ImageData, make_loader
from sm_entrypoints.images.channels import DataSetError, Split, read_splits
from sm_entrypoints.images.views import random_box
from sm_entrypoints.models.model import ModelCard
from tests.sm_entrypoints.pictures import CLASSES, make_channels

CARD = ModelCard(architecture="resnet18", classes=CLASSES, image_size=32, resize_size=36)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return read_splits(make_channels(tmp_path_factory.mktemp("data"), train=5)).train


def flat(order: BatchOrder) -> list[int]:
    return [index for batch in order for _, index in batch]


def test_training_order_is_a_new_permutation_each_epoch() -> None:
    order = BatchOrder(20, 6, seed=3)
    first = flat(order)
    assert flat(order) == first
    order.epoch = 1
    assert sorted(flat(order)) == sorted(first) == list(range(20))
    assert flat(order) != first


def test_batches_can_be_skipped() -> None:
    order = BatchOrder(20, 6, seed=3)
    everything = list(order)
    order.skip = 2
    assert list(order) == everything[2:]
    assert len(order) == 2


def test_a_single_last_sample_joins_its_neighbours() -> None:
    assert [len(batch) for batch in BatchOrder(9, 4, seed=0)] == [4, 5]
    assert [len(batch) for batch in BatchOrder(9, 4)] == [4, 4, 1]
    assert [len(batch) for batch in BatchOrder(3, 1, seed=0)] == [1, 1, 1]


@pytest.mark.parametrize(("seed", "sizes"), [(None, [4, 3, 3]), (7, [3, 3, 3])])
def test_processes_share_without_overlap(seed: int | None, sizes: list[int]) -> None:
    shares = [flat(BatchOrder(10, 2, seed=seed, shard=(rank, 3))) for rank in range(3)]
    assert [len(share) for share in shares] == sizes
    joined = [index for share in shares for index in share]
    assert len(set(joined)) == len(joined)


@pytest.mark.parametrize("augmentation", ["none", "flip", "standard"])
def test_a_sample_depends_on_its_key_alone(split: Split, augmentation: str) -> None:
    def pixels(keys: list[tuple[int, int]], *, preload: bool = False) -> torch.Tensor:
        data = ImageData(split, CARD, augmentation=augmentation, seed=1)  # type: ignore[arg-type]
        if preload:
            data.preload(2)
        return data.__getitems__(keys)[0]

    keys = [(2, index) for index in range(len(split))]
    whole = pixels(keys)
    assert whole.shape == (15, 3, 32, 32)
    assert whole.dtype == torch.uint8
    assert torch.equal(torch.cat([pixels([key]) for key in keys]), whole)
    assert torch.equal(pixels(keys, preload=True), whole)
    changed = not torch.equal(pixels([(3, index) for _, index in keys]), whole)
    assert changed == (augmentation != "none")


def test_worker_processes_give_the_same_batches(split: Split) -> None:
    data = ImageData(split, CARD, augmentation="standard", seed=1)
    order = BatchOrder(len(data), 4, seed=0)
    alone, helped = make_loader(data, order, 0), make_loader(data, order, 1)
    for ours, theirs in zip(alone, helped, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours[:3], theirs[:3], strict=True))
        assert ours.making.pid == os.getpid() != theirs.making.pid
        assert 0 < theirs.making.seconds < time.time() - theirs.making.started + 0.1


def test_labels_and_indices_travel_with_the_pixels(split: Split) -> None:
    data = ImageData(split, CARD)
    _, labels, indices = data.__getitems__([(1, 14), (1, 0)])
    assert labels.tolist() == [2, 0]
    assert indices.tolist() == [14, 0]


def test_a_bad_image_is_named_with_its_channel(tmp_path: Path) -> None:
    channels = make_channels(tmp_path, train=2)
    bad = channels["train"] / CLASSES[1] / "001 é.jpg"
    bad.write_bytes(bad.read_bytes()[:200])
    data = ImageData(read_splits(channels).train, CARD)
    with pytest.raises(DataSetError, match=r"bad image train/green's square/001 é.jpg"):
        data.preload(2)


def test_random_boxes_stay_inside() -> None:
    random = np.random.default_rng(0)
    for size in ((100, 40), (3, 900), (1, 1)):
        for _ in range(200):
            left, top, right, bottom = random_box(size, random)
            assert 0 <= left < right <= size[0]
            assert 0 <= top < bottom <= size[1]
