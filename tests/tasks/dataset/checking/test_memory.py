from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tasks.dataset.checking import memory as data_memory
from tasks.dataset.checking.check import check_data
from tasks.dataset.checking.memory import open_memory
from tests.worlds.pictures import picture, write_data, write_picture

COUNTS = {split: {"a": 3, "b": 3} for split in ("train", "valid", "test")}


@pytest.fixture
def root(awkward_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set that was written a while ago."""
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    return write_data(awkward_path / "data", COUNTS)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are really read."""
    seen: list[Path] = []
    inspect = data_memory.inspect_image

    def noted(path: Path, converter=None):
        seen.append(path)
        return inspect(path, converter)

    monkeypatch.setattr(data_memory, "inspect_image", noted)
    return seen


def test_unchanged_files_are_not_read_again(awkward_path, root, looked_at):
    folder = awkward_path / "memory"
    first = check_data(root, remembered=open_memory(folder, root))
    assert len(looked_at) == 18
    looked_at.clear()
    assert check_data(root, remembered=open_memory(folder, root)) == first == check_data(root)
    assert looked_at == []


def test_an_edit_of_the_same_size_with_an_older_time_is_found(awkward_path, root, looked_at):
    folder, path = awkward_path / "memory", root / "train" / "a" / "000.png"
    picture(800).save(path, compress_level=0)
    first = check_data(root, remembered=open_memory(folder, root))
    size = path.stat().st_size
    picture(801).save(path, compress_level=0)
    os.utime(path, (1, 1))
    assert path.stat().st_size == size
    looked_at.clear()
    second = check_data(root, remembered=open_memory(folder, root))
    assert looked_at == [path]
    assert second.fingerprint != first.fingerprint
    assert second == check_data(root)


def test_another_pillow_looks_again(awkward_path, root, looked_at):
    folder = awkward_path / "memory"
    check_data(root, remembered=open_memory(folder, root))
    (file,) = folder.iterdir()
    value = json.loads(file.read_text())
    file.write_text(json.dumps({**value, "kind": "image 1, Pillow 1.0"}))
    looked_at.clear()
    check_data(root, remembered=open_memory(folder, root))
    assert len(looked_at) == 18


def test_folders_have_memories_of_their_own(awkward_path, root):
    other = write_picture(awkward_path / "other" / "x.jpg", 1).parent
    kind = {open_memory(awkward_path, each)._file for each in (root, other)}
    assert len(kind) == 2
