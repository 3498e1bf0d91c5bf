"""No archive gets out of its folder, fills the memory or raises anything but one clean error."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from platforms.archives import ArchiveError, extract_archive
from platforms.local.boundary.hard_coded import hard_coded_paths
from tests.worlds.hostile_archives import archive, hostile_archives, member, pax, record

HOSTILE = hostile_archives()
# What reading needs beside the blocks of a large honest file.
MOST_MEMORY = 24 << 20


def test_there_are_many() -> None:
    assert len(HOSTILE) >= 60


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "in" / "a.tar.gz"
    path.parent.mkdir()
    path.write_bytes(HOSTILE[name]())
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError) as raised:
            extract_archive(path, tmp_path / "out" / "model")
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert len(str(raised.value)) < 300
    assert "\n" not in str(raised.value)
    assert list((tmp_path / "out").iterdir()) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in", "out"]
    hard_coded_paths(path)  # whoever only looks into it does not fail either


def test_what_honest_tools_write_is_unpacked(tmp_path: Path) -> None:
    long = b"folder/" * 20 + b"name.py"
    path = tmp_path / "a.tar.gz"
    path.write_bytes(
        archive(
            pax(record(b"comment", b"a" * 40), kind=b"g"),
            pax(record(b"path", long) + record(b"mtime", b"1.5")),
            member(b"short", b"by PAX"),
            member(b"././@LongLink", long + b"2\0", kind=b"L"),
            member(b"short", b"by GNU"),
        )
    )
    extract_archive(path, tmp_path / "out")
    assert (tmp_path / "out" / long.decode()).read_bytes() == b"by PAX"
    assert (tmp_path / "out" / f"{long.decode()}2").read_bytes() == b"by GNU"
