from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.dataset.checking.stat_cache import StatCache, identity


@pytest.fixture
def file(awkward_path: Path) -> Path:
    path = awkward_path / "bytes\udcff.jpg"
    path.write_bytes(b"one")
    return path


def learnt(folder: Path, path: Path, value: Any, monkeypatch: pytest.MonkeyPatch) -> StatCache:
    """Return a cache that knows a file which was written a while ago."""
    cache = StatCache(folder / "cache" / "seen.json", "kind")
    later = time.time() + 60
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: later)
        cache.put(path, identity(path), value)
    cache.save()
    return StatCache(folder / "cache" / "seen.json", "kind")


def test_an_unchanged_file_is_known(awkward_path, file, monkeypatch):
    cache = learnt(awkward_path, file, {"a": 1}, monkeypatch)
    assert cache.get(file) == {"a": 1}
    assert cache.get(awkward_path / "other") is None


def test_an_edit_of_the_same_size_with_an_older_time_is_found(awkward_path, file, monkeypatch):
    cache = learnt(awkward_path, file, 1, monkeypatch)
    before = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert cache.get(file) is None


def test_a_file_that_replaced_another_is_found(awkward_path, file, monkeypatch):
    cache = learnt(awkward_path, file, 1, monkeypatch)
    other = awkward_path / "other"
    other.write_bytes(b"two")
    other.replace(file)
    assert cache.get(file) is None


def test_what_was_written_just_now_is_not_trusted(awkward_path, file):
    cache = StatCache(awkward_path / "seen.json", "kind")
    cache.put(file, identity(file), 1)
    cache.save()
    assert StatCache(awkward_path / "seen.json", "kind").get(file) is None


def test_what_changed_while_it_was_read_is_not_remembered(awkward_path, file, monkeypatch):
    cache = StatCache(awkward_path / "seen.json", "kind")
    before = identity(file)
    file.write_bytes(b"more")
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    cache.put(file, before, 1)
    cache.save()
    assert StatCache(awkward_path / "seen.json", "kind").get(file) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": 1, "kind": "kind", "files": {"a": 1}}', b"\xff"]
)
def test_a_broken_cache_knows_nothing(awkward_path, file, content, monkeypatch):
    path = awkward_path / "cache" / "seen.json"
    path.parent.mkdir()
    path.write_bytes(content)
    assert learnt(awkward_path, file, 1, monkeypatch).get(file) == 1


def test_another_kind_of_values_is_not_read(awkward_path, file, monkeypatch):
    learnt(awkward_path, file, 1, monkeypatch)
    assert StatCache(awkward_path / "cache" / "seen.json", "newer").get(file) is None


def test_files_that_are_gone_are_forgotten(awkward_path, file, monkeypatch):
    cache = learnt(awkward_path, file, 1, monkeypatch)
    cache.save()
    assert StatCache(awkward_path / "cache" / "seen.json", "kind").get(file) is None
