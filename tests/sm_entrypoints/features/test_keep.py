from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sm_entrypoints.features.keep import FeatureFolder, places
from sm_entrypoints.features.key import FeatureKey
from tests.sm_entrypoints.features.worlds import built

KEY = FeatureKey.of(built())
OTHER = FeatureKey.of(built(seed=1))
ROWS = torch.arange(12.0).view(3, 4)
NAMES = [bytes([row]) * 32 for row in range(3)]


def folder(
    path: Path, key: FeatureKey = KEY, *, told: list[str] | None = None, writable: bool = True
) -> FeatureFolder:
    said = told if told is not None else []
    return FeatureFolder(path, key, shape=(4,), writable=writable, tell=said.append)


def rows(kept: FeatureFolder) -> dict[bytes, Tensor]:
    return {name: shard.features[row] for name, (shard, row) in places(kept.shards()).items()}


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    folder(tmp_path).keep(NAMES, ROWS)
    (found,) = tmp_path.glob("*/features-*.safetensors")
    return found


def test_what_was_kept_is_read_by_picture(tmp_path: Path) -> None:
    kept = folder(tmp_path)
    kept.keep(NAMES[:2], ROWS[:2])
    kept.keep(NAMES[2:], ROWS[2:])
    found = rows(folder(tmp_path, writable=False))
    assert found.keys() == set(NAMES)
    assert all(torch.equal(found[name], row) for name, row in zip(NAMES, ROWS, strict=True))


def test_bfloat16_is_kept_as_it_is(tmp_path: Path) -> None:
    folder(tmp_path).keep(NAMES, ROWS.bfloat16())
    assert rows(folder(tmp_path))[NAMES[1]].dtype is torch.bfloat16


def test_the_same_shard_twice_is_one_file(tmp_path: Path, shard: Path) -> None:
    folder(tmp_path).keep(NAMES, ROWS)
    assert list(shard.parent.glob("features-*")) == [shard]


def test_features_of_another_network_are_not_taken(tmp_path: Path, shard: Path) -> None:
    told: list[str] = []
    assert rows(folder(tmp_path, OTHER, told=told)) == {}
    assert told == []  # they lie in a folder of their own
    theirs = folder(tmp_path, OTHER, told=told)
    shard.parent.rename(theirs.folder)
    assert rows(theirs) == {}
    assert [each for each in told if "of another network" in each and shard.name in each]


@pytest.mark.parametrize("where", [0, 40, 0.5, -1])
def test_one_wrong_byte_is_noticed(tmp_path: Path, shard: Path, where: float) -> None:
    data = bytearray(shard.read_bytes())
    data[int(where * len(data)) if 0 < where < 1 else int(where)] ^= 1
    shard.write_bytes(data)
    told: list[str] = []
    assert rows(folder(tmp_path, told=told)) == {}
    assert [each for each in told if "damaged" in each and shard.name in each]


@pytest.mark.parametrize("size", [0, 7, 100])
def test_half_a_file_is_noticed(tmp_path: Path, shard: Path, size: int) -> None:
    shard.write_bytes(shard.read_bytes()[:size])
    told: list[str] = []
    assert rows(folder(tmp_path, told=told)) == {}
    assert len(told) == 1


def test_a_damaged_file_does_not_hide_the_others(tmp_path: Path, shard: Path) -> None:
    folder(tmp_path).keep([b"x" * 32], ROWS[:1])
    shard.write_bytes(b"")
    assert rows(folder(tmp_path)).keys() == {b"x" * 32}


def test_a_file_that_is_whole_but_of_another_shape_is_not_taken(
    tmp_path: Path, shard: Path
) -> None:
    told: list[str] = []
    wide = FeatureFolder(tmp_path, KEY, shape=(2, 2), tell=told.append)
    assert wide.shards() == []
    assert [each for each in told if "another shape" in each]


def test_a_folder_for_readers_is_not_written_to(tmp_path: Path) -> None:
    reader = folder(tmp_path, writable=False)
    reader.keep(NAMES, ROWS)
    reader.describe(3)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_says_what_it_holds(tmp_path: Path) -> None:
    kept = folder(tmp_path)
    kept.describe(3)
    about = json.loads((kept.folder / "about.json").read_text())
    assert about["digest"] == KEY.digest
    assert about["key"]["architecture"] == "squeezenet1_1"
    assert (about["shape"], about["pictures"]) == ([4], 3)
