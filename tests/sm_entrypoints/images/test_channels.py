from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sm_entrypoints.images.channels import DataSetError, read_splits
from tests.sm_entrypoints.pictures import CLASSES, make_channels

Channels = dict[str, Path]


def test_classes_are_the_sorted_folders_and_junk_is_left_out(tmp_path: Path) -> None:
    channels = make_channels(tmp_path / "d'été 1", train=2, valid=1, test=1)
    (channels["train"] / ".cache").mkdir()
    (channels["train"] / "manifest.json").write_text("{}")
    (channels["train"] / CLASSES[0] / "notes.txt").write_text("x")
    (channels["train"] / CLASSES[0] / ".hidden.jpg").write_text("x")
    splits = read_splits(channels)
    assert splits.classes == tuple(sorted(CLASSES))
    assert (len(splits.train), len(splits.valid)) == (6, 3)
    assert splits.train.labels == (0, 0, 1, 1, 2, 2)
    assert splits.train.paths[0] == f"{CLASSES[0]}/000 é.jpg"
    assert splits.test is not None


def test_the_test_channel_may_be_missing(tmp_path: Path) -> None:
    channels = make_channels(tmp_path, train=1, valid=1, test=1)
    del channels["test"]
    assert read_splits(channels).test is None


def test_the_fingerprint_follows_the_data(tmp_path: Path) -> None:
    channels = make_channels(tmp_path, train=2, valid=1, test=1)
    before = read_splits(channels).fingerprint()
    assert read_splits(channels).fingerprint() == before
    (channels["valid"] / CLASSES[1] / "000 é.jpg").write_bytes(b"other")
    assert read_splits(channels).fingerprint() != before


def _drop_channel(channels: Channels) -> None:
    del channels["valid"]


def _no_folder(channels: Channels) -> None:
    shutil.rmtree(channels["train"])


def _empty(channels: Channels) -> None:
    for folder in channels["train"].iterdir():
        shutil.rmtree(folder)


def _one_class(channels: Channels) -> None:
    for name in CLASSES[1:]:
        shutil.rmtree(channels["train"] / name)


def _empty_class(channels: Channels) -> None:
    for file in (channels["train"] / CLASSES[2]).iterdir():
        file.unlink()


def _class_missing(channels: Channels) -> None:
    shutil.rmtree(channels["valid"] / CLASSES[1])


def _class_too_many(channels: Channels) -> None:
    (channels["test"] / CLASSES[0]).rename(channels["test"] / "zebra")
    shutil.copytree(channels["train"] / CLASSES[0], channels["test"] / CLASSES[0])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_drop_channel, r"channel 'valid' is missing \(the job has \['test', 'train'\]\)"),
        (_no_folder, "channel 'train' is not a folder"),
        (_empty, "channel 'train' is empty"),
        (_one_class, "channel 'train' has one class, 'blå cirkel'"),
        (_empty_class, "channel 'train': class 'red bar' has no images"),
        (_class_missing, "channel 'valid' has no images of \"green's square\""),
        (_class_too_many, "channel 'test' has classes that train lacks: 'zebra'"),
    ],
)
def test_a_channel_that_cannot_be_trained_on_is_named(
    tmp_path: Path, spoil: Callable[[Channels], None], said: str
) -> None:
    channels = make_channels(tmp_path, train=1, valid=1, test=1)
    spoil(channels)
    with pytest.raises(DataSetError, match=said):
        read_splits(channels)
