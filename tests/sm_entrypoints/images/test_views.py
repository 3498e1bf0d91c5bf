from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest
import torch

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.images.batches import ImageData, TensorData
from sm_entrypoints.images.channels import Split, read_splits
from sm_entrypoints.images.preparation import evaluation_pixels, open_image
from sm_entrypoints.images.views import Views, drawn, drawn_in_epoch
from sm_entrypoints.models.model import ModelCard
from tests.sm_entrypoints.pictures import CLASSES, make_channels

CARD = ModelCard(architecture="resnet18", classes=CLASSES, image_size=32, resize_size=36)
STANDARD = Views(augmentation="standard", count=3)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return read_splits(make_channels(tmp_path_factory.mktemp("data"), train=5)).train


def version(views: Views, path: Path, number: int) -> torch.Tensor:
    data = path.read_bytes()
    return views.pixels(open_image(path), CARD, hashlib.sha256(data).digest(), number)


def test_a_version_follows_from_the_picture_s_bytes_and_its_number(
    split: Split, tmp_path: Path
) -> None:
    path, copy = split.folder / split.paths[0], tmp_path / "copy.jpg"
    copy.write_bytes(path.read_bytes())
    versions = [version(STANDARD, path, number) for number in range(4)]
    torch.manual_seed(5)  # no global state has a say
    assert all(
        torch.equal(each, version(STANDARD, copy, number)) for number, each in enumerate(versions)
    )
    assert torch.equal(versions[0], evaluation_pixels(open_image(path), CARD))
    for number, each in enumerate(versions):
        assert each.shape == (3, 32, 32)
        assert not any(torch.equal(each, other) for other in versions[:number])


def test_a_view_s_name_is_of_no_other_view_or_picture() -> None:
    picture, other = hashlib.sha256(b"a").digest(), hashlib.sha256(b"b").digest()
    flip = Views(augmentation="flip", count=1)
    names = [
        views.name(each, number)
        for each in (picture, other)
        for views in (STANDARD, flip)
        for number in range(1, 4)
    ]
    assert len({picture, other, *names}) == 14
    assert {len(name) for name in names} == {32}
    assert STANDARD.name(picture, 0) == picture


def test_each_version_is_as_likely_and_chosen_by_seed_epoch_and_place() -> None:
    chosen = [drawn(0, epoch, index, 3) for epoch in range(1, 9) for index in range(250)]
    assert all(abs(count - 500) < 70 for count in Counter(chosen).values())
    assert set(chosen) == {0, 1, 2, 3}
    assert drawn_in_epoch(0, 2, 250, 3).tolist() == chosen[250:500]
    assert drawn_in_epoch(1, 2, 250, 3).tolist() != chosen[250:500]
    assert drawn(0, 1, 7, 0) == 0


def test_a_mirrored_view_is_shown_when_the_picture_would_be_flipped(split: Split) -> None:
    views = Views.of(TrainingArguments(augmentation="flip", views=5))
    assert views.count == 1, "a picture has one mirrored version"
    flipped = ImageData(split, CARD, augmentation="flip", seed=3)
    keys = [(2, index) for index in range(len(split))]
    shown = flipped.__getitems__(keys)[0]
    for (epoch, index), pixels in zip(keys, shown, strict=True):
        number = drawn(3, epoch, index, views.count)
        assert torch.equal(pixels, version(views, split.folder / split.paths[index], number))


def test_an_epoch_shows_images_and_their_views_by_turns(split: Split) -> None:
    data = ImageData(split, CARD, augmentation="standard", seed=3, views=STANDARD)
    data.preload(2)  # has nothing to keep
    for epoch in (1, 2):
        shown = data.__getitems__([(epoch, index) for index in range(len(split))])[0]
        for index, pixels in enumerate(shown):
            number = drawn(3, epoch, index, STANDARD.count)
            path = split.folder / split.paths[index]
            assert torch.equal(pixels, version(STANDARD, path, number))


def test_rows_of_features_are_those_of_the_versions_that_an_epoch_shows() -> None:
    inputs = torch.arange(12.0).view(4, 3, 1)
    data = TensorData(inputs, torch.zeros(4, dtype=torch.int64), views=2, seed=3)
    rows = torch.tensor([2, 0, 3])
    for epoch in (1, 2, 3):
        taken, _, indices = data.__getitems__([(epoch, int(row)) for row in rows])
        assert indices.tolist() == rows.tolist()
        wanted = [3 * int(row) + drawn(3, epoch, int(row), 2) for row in rows]
        assert taken.flatten().tolist() == wanted
        assert torch.equal(data.of_epoch(rows, seed=3, epoch=epoch), taken)
    assert data.shape == (1,)
