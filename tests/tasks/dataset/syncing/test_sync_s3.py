"""The sync against an S3 server behind a proxy that breaks, cuts, stalls and falsifies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from benchmarks.s3_proxy import FaultyProxy
from platforms.errors import DataError
from platforms.settings import PROJECT_ROOT
from tasks.dataset.syncing.download import fetch_data
from tasks.dataset.syncing.manifest import Entry, Manifest, write_manifest
from tasks.dataset.syncing.sync import sync_data
from tasks.storage.download import fetch_objects
from tasks.storage.objects import StoreFailed
from tasks.storage.receive import UNFINISHED
from tests.worlds.synced import (
    PREFIX,
    below,
    bucket_port,
    checked,
    contents,
    open_store,
    seeded_plan,
    up_and_down,
    write_files,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def port() -> Iterator[int]:
    with bucket_port() as found:
        yield found


def test_faults_leave_no_wrong_byte(port: int, tmp_path: Path) -> None:
    assert up_and_down(port, tmp_path, 150, 0.2, seed=1) >= 40


KILLED = """
import os, sys
from pathlib import Path
from tasks.dataset.syncing.sync import sync_data
from tasks.dataset.syncing.download import fetch_data
from tests.worlds.synced import PREFIX, checked, open_store
def progress(moved):
    if moved.files == 30:
        os.kill(os.getpid(), 9)
way, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
if way == "up":
    sync_data(checked(folder), open_store(port), PREFIX, progress=progress, workers=4)
fetch_data(open_store(port), PREFIX, folder, progress=progress, workers=4)
"""


def killed(way: str, port: int, folder: Path) -> None:
    command = [sys.executable, "-c", KILLED, way, str(port), str(folder)]
    ended = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == -9, ended.stderr


def visible(folder: Path) -> dict[str, bytes]:
    found = contents(folder)
    return {name: found[name] for name in found if UNFINISHED not in name}


def test_killed_syncs_and_fetches_go_on_where_they_were(port: int, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write_files(source, 60, (1_000, 2_000))
    killed("up", port, source)
    with pytest.raises(DataError, match="no complete data set"):
        fetch_data(open_store(port), PREFIX, target)
    with FaultyProxy(port) as proxy:
        result = sync_data(checked(source), open_store(proxy.port), PREFIX)
        # What was sent before the kill is not sent again: its tag in the listing says so.
        assert proxy.traffic.requests["PUT object"] == result.uploaded
        # It is told of several at a time: a few more than the 30 that it knew of were sent.
        assert 0 < result.uploaded <= 30
        assert result.uploaded + result.skipped == 60
    assert below(open_store(port)) == contents(source)
    killed("down", port, target)
    assert visible(target).items() <= contents(source).items()
    # One of another version, which no renaming takes away.
    stale = (target / min(contents(source))).with_name(f"{UNFINISHED}-0123")
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.write_bytes(b"half")
    fetched = fetch_data(open_store(port), PREFIX, target)
    assert 0 < fetched.fetched <= 30
    assert contents(target) == contents(source)


def test_unchanged_data_costs_one_read_and_the_listing(port: int, tmp_path: Path) -> None:
    write_files(tmp_path, 1_005, (10, 20))
    check = checked(tmp_path)
    sync_data(check, open_store(port), PREFIX)
    with FaultyProxy(port) as proxy:
        sync_data(check, open_store(proxy.port), PREFIX)
        assert dict(proxy.traffic.requests) == {"GET manifest": 1, "LIST": 2}
        path = tmp_path / check.files[7].path
        path.write_bytes(bytes(path.stat().st_size))
        os.utime(path, (1, 1))
        assert sync_data(checked(tmp_path), open_store(proxy.port), PREFIX).uploaded == 1
        assert proxy.traffic.requests["PUT object"] == 1


def test_a_broken_download_asks_for_the_rest(port: int, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write_files(source, 4, (3_000_000, 3_000_001))
    sync_data(checked(source), open_store(port), PREFIX)
    cuts = iter([None, "cut answer", "cut answer", "reset after"])
    with FaultyProxy(port, lambda _, __: next(cuts, None)) as proxy:
        fetch_data(open_store(proxy.port), PREFIX, target, workers=1)
        assert contents(target) == contents(source)
        assert proxy.traffic.received < 12_100_000


def test_objects_without_a_manifest_arrive_through_faults(port: int, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "it's the target"
    write_files(source, 40, (2_000, 300_000))
    sync_data(checked(source), open_store(port), PREFIX)
    with FaultyProxy(port, seeded_plan(3, 0.2)) as proxy:
        for split in ("train", "valid", "test"):
            fetch_objects(open_store(proxy.port), f"{PREFIX}/{split}", target / split)
        assert proxy.traffic.faults["falsify answer"]
    assert contents(target) == contents(source)
    (target / "test" / "mine").write_bytes(b"stays")
    again = fetch_objects(open_store(port), f"{PREFIX}/test", target / "test")
    assert (again.fetched, again.skipped) == (0, 10)
    assert (target / "test" / "mine").read_bytes() == b"stays"


def test_bytes_that_are_always_wrong_are_an_error(port: int, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write_files(source, 4, (2_000, 3_000))
    falsify = {"PUT object": "falsify request"}
    with FaultyProxy(port, lambda kind, _: falsify.get(kind)) as proxy:
        with pytest.raises(StoreFailed, match="had different bytes each time"):
            sync_data(checked(source), open_store(proxy.port), PREFIX)
        falsify.clear()
        sync_data(checked(source), open_store(proxy.port), PREFIX)
        falsify["GET object"] = "falsify answer"
        with pytest.raises(StoreFailed, match="in 6 attempts: it has different bytes"):
            fetch_data(open_store(proxy.port), PREFIX, target)
    assert visible(target) == {}


@pytest.mark.parametrize(
    "key",
    ["../escaped.jpg", "/etc/x.jpg", "train//x.jpg", f"{UNFINISHED}s/x", f"train/{UNFINISHED}-1"],
)
def test_a_manifest_cannot_write_outside_of_the_folder(tmp_path: Path, key: str) -> None:
    store = MemoryStore()
    files = {key: Entry(size=1, sha256="0" * 64)}
    write_manifest(store, PREFIX, Manifest(files=files, pending=frozenset()))
    with pytest.raises(DataError, match="1 keys are not valid file names"):
        fetch_data(store, PREFIX, tmp_path / "target")
