"""Features of views: computed and kept beside those of the pictures, never mixed with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.features.backbone import Built
from sm_entrypoints.features.features import FeatureFolders, Features, features_of
from sm_entrypoints.images.batches import ImageData
from sm_entrypoints.images.channels import Splits, read_splits
from sm_entrypoints.images.views import Views, drawn
from tests.sm_entrypoints.features.worlds import Counted, built, take
from tests.sm_entrypoints.pictures import make_channels

PLAIN = {"precision": "float32", "channels_last": "false"}
ARGUMENTS = TrainingArguments(**PLAIN, augmentation="standard", views=2)


@pytest.fixture
def splits(tmp_path: Path) -> Splits:
    return read_splits(make_channels(tmp_path / "data", train=4, valid=2, test=1))


def viewed(made: Built, splits: Splits, folder: Path | None = None, **changed: Any) -> Features:
    arguments = TrainingArguments(**{**PLAIN, "augmentation": "standard", "views": 2, **changed})
    where = FeatureFolders(write=folder)
    return features_of([splits.train, splits.valid], made, arguments, folders=where)


def test_training_pictures_have_rows_for_their_views_and_others_do_not(splits: Splits) -> None:
    made = built()
    counted = Counted(made)
    found = viewed(made, splits)
    assert counted.take() == 12 * 3 + 6
    assert (found.use.computed, found.use.views) == (42, 2)
    assert str(found.use).startswith("computed the features of 42 images and views of images in")
    versions = found.versions["train"]
    assert versions.shape[:2] == (12, 3)
    assert found.versions["valid"].shape[:2] == (6, 1)
    plain = take(built(), splits.train, splits.valid)
    for split in ("train", "valid"):
        assert torch.allclose(found.by_split[split], plain.by_split[split], rtol=1e-5, atol=1e-5)
    # What an epoch of the uncached training shows the network gives these rows.
    data = ImageData(
        splits.train, made.card, augmentation="standard", seed=4, views=Views.of(ARGUMENTS)
    )
    whole = data.__getitems__([(3, index) for index in range(12)])[0]
    rows = torch.stack([versions[index, drawn(4, 3, index, 2)] for index in range(12)])
    hooked: list[torch.Tensor] = []
    first = made.model.classifier
    first.register_forward_pre_hook(lambda _, inputs: hooked.append(inputs[0]))  # type: ignore[operator, union-attr]
    with torch.inference_mode():
        made.model(made.compute.images(whole, made.card))
    assert torch.allclose(hooked[0], rows, rtol=1e-5, atol=1e-5)


def test_kept_views_are_taken_and_cost_no_forward_pass(splits: Splits, tmp_path: Path) -> None:
    kept, made = tmp_path / "kept", built()
    take(made, splits.train, splits.valid, write=kept)
    counted = Counted(made)
    cold = viewed(made, splits, kept)
    assert (cold.use.kept, cold.use.computed, counted.take()) == (18, 24, 24)
    # Trials that differ in their seed share views.
    warm = viewed(made, splits, kept, seed=7)
    assert (warm.use.kept, warm.use.computed, counted.take()) == (42, 0, 0)
    assert torch.equal(warm.versions["train"], cold.versions["train"])
    more = viewed(made, splits, kept, views=3)
    assert (more.use.kept, more.use.computed) == (42, 12)
    mirrored = viewed(made, splits, kept, augmentation="flip")
    assert (mirrored.use.kept, mirrored.use.computed) == (18, 12)
    plain = take(made, splits.train, splits.valid, read=kept)
    assert (plain.use.kept, plain.use.computed) == (18, 0)
    assert torch.equal(plain.by_split["train"], cold.by_split["train"])
    (about,) = [json.loads(file.read_text()) for file in kept.glob("*/about.json")]
    assert (about["pictures"], about["views"]) == (18, 24 + 12 + 12), "a view is no picture"


def test_the_same_bytes_have_the_same_views_once(splits: Splits) -> None:
    first = splits.train.folder / splits.train.paths[0]
    (splits.train.folder / splits.train.paths[1]).write_bytes(first.read_bytes())
    found = viewed(built(), splits)
    assert found.use.computed == 42 - 3
    assert torch.equal(found.versions["train"][0], found.versions["train"][1])


def test_a_bad_picture_is_named(splits: Splits) -> None:
    (splits.train.folder / splits.train.paths[5]).write_bytes(b"no picture")
    with pytest.raises(Exception, match=f"bad image train/{splits.train.paths[5]}"):
        viewed(built(), splits)
