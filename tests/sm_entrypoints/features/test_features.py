from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sm_entrypoints.features.backbone import tail_of
from sm_entrypoints.images.channels import DataSetError, Split, read_splits
from tests.sm_entrypoints.features.worlds import Counted, built, by_hand, take
from tests.sm_entrypoints.pictures import PROJECT, make_channels


@pytest.fixture
def train(tmp_path: Path) -> Split:
    return read_splits(make_channels(tmp_path / "data", train=7, valid=1, test=1)).train


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "googlenet"]
)
def test_the_tail_on_features_is_the_whole_model(train: Split, architecture: str) -> None:
    made = built(architecture)
    features = take(made, train).by_split["train"]
    with torch.inference_mode():
        scores = tail_of(made.model).eval()(features)
    assert torch.allclose(scores, by_hand(made, train), atol=1e-5)


def test_kept_features_are_the_computed_ones_and_cost_no_forward_pass(
    train: Split, tmp_path: Path
) -> None:
    made, kept = built(), tmp_path / "kept"
    counted = Counted(made)
    cold = take(made, train, write=kept)
    assert (cold.use.kept, cold.use.computed, counted.take()) == (0, 21, 21)
    warm = take(built(), train, read=kept)
    assert (warm.use.kept, warm.use.computed) == (21, 0)
    assert torch.allclose(warm.by_split["train"], cold.by_split["train"], rtol=0, atol=1e-5)
    take(made, train, read=kept)
    assert counted.take() == 0


def test_a_row_depends_on_its_picture_alone(train: Split) -> None:
    made = built()
    forwards = take(made, train).by_split["train"]
    back = replace(train, paths=train.paths[::-1], labels=train.labels[::-1])
    assert torch.allclose(take(made, back).by_split["train"].flip(0), forwards, atol=1e-5)
    alone = replace(train, paths=train.paths[4:5], labels=train.labels[4:5])
    assert torch.allclose(take(made, alone).by_split["train"][0], forwards[4], atol=1e-5)


def test_pictures_with_the_same_bytes_are_computed_once(train: Split) -> None:
    made = built()
    counted = Counted(made)
    twice = replace(train, name="valid", paths=train.paths * 2, labels=train.labels * 2)
    features = take(made, train, twice)
    assert (features.use.computed, counted.take()) == (21, 21)
    assert torch.equal(features.by_split["valid"][:21], features.by_split["train"])
    assert torch.equal(features.by_split["valid"][21:], features.by_split["train"])


def test_ten_new_pictures_cost_ten_forward_passes(train: Split, tmp_path: Path) -> None:
    made, kept = built(), tmp_path / "kept"
    counted = Counted(made)
    old = replace(train, paths=train.paths[10:], labels=train.labels[10:])
    take(made, old, write=kept)
    counted.take()
    use = take(made, train, write=kept).use
    assert (use.kept, use.computed, counted.take()) == (11, 10, 10)
    assert take(made, train, read=kept).use.computed == 0


def test_a_picture_changed_in_place_is_computed_anew(train: Split, tmp_path: Path) -> None:
    made, kept = built(), tmp_path / "kept"
    before = take(made, train, write=kept).by_split["train"]
    file, other = (train.folder / train.paths[index] for index in (3, 17))
    stat = file.stat()
    shutil.copyfile(other, file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = take(made, train, write=kept)
    # The picture has the bytes of another one now, whose features are kept.
    assert after.use.computed == 0
    assert torch.equal(after.by_split["train"][3], before[17])
    assert not torch.allclose(before[3], before[17], atol=1e-2)


def test_a_bad_picture_is_named_and_what_was_computed_stays(train: Split, tmp_path: Path) -> None:
    made, kept = built(), tmp_path / "kept"
    (train.folder / train.paths[-1]).write_bytes(b"not a picture")
    with pytest.raises(DataSetError, match=f"bad image train/{train.paths[-1]}: .* is not a JPEG"):
        take(made, train, write=kept)
    whole = replace(train, paths=train.paths[:-1], labels=train.labels[:-1])
    assert take(made, whole, read=kept).use.kept >= 16


KILLED = """
import os, sys
from pathlib import Path
from dataclasses import replace
from sm_entrypoints.features.features import FeatureFolders, features_of
from sm_entrypoints.images.channels import read_splits
from tests.sm_entrypoints.features.worlds import ARGUMENTS, built
data, kept = map(Path, sys.argv[1:])
train = read_splits({name: data / name for name in ("train", "valid", "test")}).train
features_of([train], built(), ARGUMENTS, folders=FeatureFolders(write=kept, shard_bytes=1))
"""


@pytest.mark.slow
def test_a_killed_pass_goes_on_with_the_pictures_that_are_missing(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    train = read_splits(make_channels(data, train=80, valid=1, test=1)).train
    job = subprocess.Popen([sys.executable, "-c", KILLED, str(data), str(kept)], cwd=PROJECT)
    while len(list(kept.glob("*/features-*.safetensors"))) < 2:
        assert job.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    job.kill()
    assert job.wait() == -signal.SIGKILL
    shards = len(list(kept.glob("*/features-*.safetensors")))
    counted = Counted(made := built())
    resumed = take(made, train, write=kept)
    assert 16 * 2 <= resumed.use.kept < len(train)
    assert resumed.use.kept == min(16 * shards, len(train))
    assert counted.take() == resumed.use.computed == len(train) - resumed.use.kept
    whole = take(built(), train).by_split["train"]
    torch.testing.assert_close(resumed.by_split["train"], whole, rtol=1e-5, atol=1e-5)


def test_a_full_disk_is_told_once_and_the_pass_goes_on(train: Split, tmp_path: Path) -> None:
    made, told = built(), list[str]()
    (tmp_path / "file").write_text("in the way of the folder")
    features = take(made, train, write=tmp_path / "file", told=told)
    assert torch.equal(features.by_split["train"], take(made, train).by_split["train"])
    assert len([each for each in told if "features are not kept in" in each]) == 1
