from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import LocalStore, MemoryStore

from platforms.errors import DataError
from platforms.settings import PROJECT_ROOT
from tasks.dataset.checking.check import check_data
from tasks.dataset.syncing.manifest import read_manifest
from tasks.dataset.syncing.sync import sync_data
from tasks.storage.objects import StoreFailed
from tasks.storage.receive import MANIFEST
from tasks.storage.sync_progress import Moved
from tests.worlds.pictures import picture, write_data, write_picture

PREFIX = "whippet/datasets/pets"
COUNTS = {split: {"a": 4, "b": 4} for split in ("train", "valid", "test")}


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "memory":
        return MemoryStore()
    return LocalStore(prefix=tmp_path / "home é" / "s3" / "my bucket's", mkdir=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_data(tmp_path / "my data", COUNTS)


def objects(store: Any) -> dict[str, tuple[str | None, Any]]:
    """Return what changes when an object is written: its tag and its time, by key."""
    return {
        item["path"]: (item["e_tag"], item["last_modified"])
        for page in obstore.list(store)
        for item in page
    }


def data_keys(store: Any) -> list[str]:
    return sorted(key for key in objects(store) if not key.endswith(MANIFEST))


def manifest(store: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(bytes(obstore.get(store, f"{PREFIX}/{MANIFEST}").bytes()))
    return value


def test_first_sync_puts_every_file(root: Path, store: Any) -> None:
    seen: list[Moved] = []
    check = check_data(root)
    result = sync_data(check, store, PREFIX, progress=seen.append)
    assert (result.prefix, result.uploaded, result.skipped, result.removed) == (PREFIX, 24, 0, 0)
    assert [moved.files for moved in seen] == list(range(1, 25))
    assert (seen[-1].of_files, seen[-1].of_bytes) == (24, seen[-1].bytes)
    assert data_keys(store) == [f"{PREFIX}/{file.key}" for file in check.files]
    for file in check.files:
        content = bytes(obstore.get(store, f"{PREFIX}/{file.key}").bytes())
        assert content == (root / file.path).read_bytes()
    assert manifest(store)["files"].keys() == {file.key for file in check.files}
    assert manifest(store)["pending"] == []


def test_second_sync_of_unchanged_data_writes_nothing(root: Path, store: Any) -> None:
    sync_data(check_data(root), store, PREFIX)
    before = objects(store)
    for path in root.rglob("*.jpg"):
        os.utime(path, (1, 1))  # Times do not count.
    result = sync_data(check_data(root), store, PREFIX)
    assert (result.uploaded, result.skipped) == (0, 24)
    assert objects(store) == before


def test_only_changes_move(root: Path, store: Any) -> None:
    sync_data(check_data(root), store, PREFIX)
    before = objects(store)
    write_picture(root / "train" / "a" / "new.jpg", 700)
    write_picture(root / "test" / "b" / "000.jpg", 701)
    (root / "valid" / "a" / "003.jpg").unlink()
    result = sync_data(check_data(root), store, PREFIX, delete=True)
    assert (result.uploaded, result.skipped, result.removed) == (2, 22, 1)
    after = objects(store)
    assert after.keys() - before.keys() == {f"{PREFIX}/train/a/new.jpg"}
    assert before.keys() - after.keys() == {f"{PREFIX}/valid/a/003.jpg"}
    changed = {key for key in before.keys() & after.keys() if before[key] != after[key]}
    assert changed == {f"{PREFIX}/test/b/000.jpg", f"{PREFIX}/{MANIFEST}"}


def test_nothing_is_deleted_without_leave(root: Path, store: Any) -> None:
    sync_data(check_data(root), store, PREFIX)
    before = objects(store)
    (root / "valid" / "a" / "003.jpg").unlink()
    write_picture(root / "train" / "a" / "new.jpg", 700)
    with pytest.raises(
        DataError, match=r"1 object whose files left it .*'valid/a/003.jpg'.*--delete-removed"
    ):
        sync_data(check_data(root), store, PREFIX)
    assert objects(store) == before


def test_object_overwritten_with_as_many_bytes_is_put_again(root: Path, store: Any) -> None:
    sync_data(check_data(root), store, PREFIX)
    key = f"{PREFIX}/train/a/000.jpg"
    content = (root / "train" / "a" / "000.jpg").read_bytes()
    obstore.put(store, key, bytes(len(content)))
    result = sync_data(check_data(root), store, PREFIX)
    assert (result.uploaded, result.skipped) == (1, 23)
    assert bytes(obstore.get(store, key).bytes()) == content


def test_changed_file_of_the_same_size_is_found(root: Path, store: Any) -> None:
    path = root / "train" / "a" / "000.png"
    picture(800).save(path, compress_level=0)
    sync_data(check_data(root), store, PREFIX)
    size = path.stat().st_size
    picture(801).save(path, compress_level=0)
    assert path.stat().st_size == size
    result = sync_data(check_data(root), store, PREFIX)
    assert (result.uploaded, result.skipped) == (1, 24)
    key = f"{PREFIX}/train/a/000.png"
    assert bytes(obstore.get(store, key).bytes()) == path.read_bytes()


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_damaged_object_is_put_again(root: Path, store: Any, damage: str) -> None:
    sync_data(check_data(root), store, PREFIX)
    key = f"{PREFIX}/train/a/000.jpg"
    if damage == "lost":
        obstore.delete(store, key)
    else:
        obstore.put(store, key, b"x")
    result = sync_data(check_data(root), store, PREFIX)
    assert (result.uploaded, result.skipped) == (1, 23)


def test_objects_of_others_stop_the_sync_untouched(root: Path, store: Any) -> None:
    obstore.put(store, f"{PREFIX}/train/a/foreign.jpg", b"theirs")
    with pytest.raises(DataError, match=r"1 object that no sync has put there \('train/a/foreign"):
        sync_data(check_data(root), store, PREFIX)
    assert list(objects(store)) == [f"{PREFIX}/train/a/foreign.jpg"]


def test_neighbour_with_a_longer_name_is_not_ours(root: Path, store: Any) -> None:
    obstore.put(store, f"{PREFIX}-2/train/a/other.jpg", b"theirs")
    sync_data(check_data(root), store, PREFIX)
    assert f"{PREFIX}-2/train/a/other.jpg" in objects(store)


def test_another_data_set_is_not_replaced(root: Path, store: Any, tmp_path: Path) -> None:
    sync_data(check_data(root), store, PREFIX)
    before = objects(store)
    other = write_data(tmp_path / "other", {"train": {"x": 5, "y": 5}}, first_seed=900)
    with pytest.raises(DataError, match=r"is another data set below '.*': 24 files"):
        sync_data(check_data(other), store, PREFIX)
    assert objects(store) == before


def test_another_folder_with_the_same_names_is_not_taken_for_this_one(
    root: Path, store: Any, tmp_path: Path
) -> None:
    sync_data(check_data(root), store, PREFIX)
    before = objects(store)
    other = write_data(tmp_path / "other", COUNTS, first_seed=900)
    with pytest.raises(DataError, match=r"my data: of its 24 different pictures .* has 0.*--data-"):
        sync_data(check_data(other), store, PREFIX, delete=True)
    assert objects(store) == before


def test_a_folder_that_moved_or_changed_is_the_same_data_set(
    root: Path, store: Any, tmp_path: Path
) -> None:
    sync_data(check_data(root), store, PREFIX)
    moved = root.rename(tmp_path / "moved")
    write_picture(moved / "train" / "a" / "000.jpg", 901)
    assert sync_data(check_data(moved), store, PREFIX).uploaded == 1
    # All of it anew, in its own place.
    write_data(moved, COUNTS, first_seed=900)
    assert sync_data(check_data(moved), store, PREFIX).skipped == 0
    assert read_manifest(store, PREFIX).fingerprint == check_data(moved).fingerprint


def test_a_manifest_of_an_earlier_version_goes_on(root: Path, store: Any, tmp_path: Path) -> None:
    sync_data(check_data(root), store, PREFIX)
    value = manifest(store)
    del value["origin"]
    obstore.put(store, f"{PREFIX}/{MANIFEST}", json.dumps(value).encode())
    assert sync_data(check_data(root), store, PREFIX).uploaded == 0
    other = write_data(tmp_path / "other", COUNTS, first_seed=900)
    assert sync_data(check_data(other), store, PREFIX).uploaded == 24


def test_file_changed_since_the_check(root: Path, store: Any) -> None:
    check = check_data(root)
    write_picture(root / "train" / "a" / "000.jpg", 950)
    with pytest.raises(DataError, match=r"'train/a/000.jpg' changed since it was checked"):
        sync_data(check, store, PREFIX)
    assert f"{PREFIX}/train/a/000.jpg" not in objects(store)
    assert sync_data(check_data(root), store, PREFIX).uploaded > 0
    assert manifest(store)["pending"] == []


def test_file_gone_since_the_check(root: Path, store: Any) -> None:
    check = check_data(root)
    (root / "train" / "a" / "000.jpg").unlink()
    with pytest.raises(DataError, match="could be read during the check, but not now"):
        sync_data(check, store, PREFIX)


def test_strange_manifest_is_not_overwritten(root: Path, store: Any) -> None:
    obstore.put(store, f"{PREFIX}/{MANIFEST}", b'{"version": 7}')
    with pytest.raises(DataError, match="not a manifest of this program"):
        sync_data(check_data(root), store, PREFIX)
    assert manifest(store) == {"version": 7}


def test_odd_names_arrive(root: Path, store: Any) -> None:
    names = ["a b.jpg", 'it\'s "x".jpg', "ünï+&#?%20.jpg", "new\nline.jpg", "bytes\udcff.jpg"]
    for seed, name in enumerate(names, 1000):
        write_picture(root / "train" / "cl'äss 1" / name, seed)
        write_picture(root / "valid" / "cl'äss 1" / name, seed + 100)
        write_picture(root / "test" / "cl'äss 1" / name, seed + 200)
    check = check_data(root)
    assert sync_data(check, store, PREFIX).uploaded == 39
    assert data_keys(store) == sorted(f"{PREFIX}/{file.key}" for file in check.files)
    assert sync_data(check, store, PREFIX).uploaded == 0


def test_two_names_of_one_key_are_refused(root: Path, store: Any) -> None:
    write_picture(root / "train" / "a" / "x\n.jpg", 1)
    write_picture(root / "train" / "a" / "x%0A.jpg", 2)
    with pytest.raises(DataError, match="Several files would get the same object key"):
        sync_data(check_data(root), store, PREFIX)
    assert objects(store) == {}


def test_split_of_ours_lands_in_its_channels(tmp_path: Path, store: Any) -> None:
    check = check_data(write_data(tmp_path / "flat", {"": {"a": 20, "b": 20}}))
    sync_data(check, store, PREFIX)
    channels = [key.removeprefix(f"{PREFIX}/").split("/")[0] for key in data_keys(store)]
    assert {name: channels.count(name) for name in set(channels)} == {
        "train": 28,
        "valid": 6,
        "test": 6,
    }


def test_channel_is_a_folder_of_images_on_this_machine(root: Path, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    sync_data(check_data(root), LocalStore(prefix=bucket, mkdir=True), PREFIX)
    shutil.rmtree(root / "valid" / "b")
    shutil.rmtree(root / "train" / "b")
    shutil.rmtree(root / "test" / "b")
    write_data(root, {split: {"c": 3} for split in COUNTS}, first_seed=2000)
    store = LocalStore(prefix=bucket, automatic_cleanup=True)
    sync_data(check_data(root), store, PREFIX, delete=True)
    assert sorted(path.name for path in (bucket / PREFIX / "train").iterdir()) == ["a", "c"]


@pytest.fixture
def read_only_bucket(root: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        bucket = Path(folder) / "bucket"
        bucket.mkdir(mode=0o555)
        was = os.geteuid()
        yield bucket
        os.seteuid(was)


@pytest.mark.slow
def test_bucket_without_write_permission(root: Path, read_only_bucket: Path) -> None:
    check = check_data(root)
    store = LocalStore(prefix=read_only_bucket)
    if os.geteuid() == 0:
        os.seteuid(65534)
    with pytest.raises(
        StoreFailed, match=r"Could not write .*manifest\.json.*Check its free space"
    ):
        sync_data(check, store, PREFIX)


KILLED = """
import os, sys
from pathlib import Path
from obstore.store import LocalStore
from tasks.dataset.syncing import sync as data_sync
from tasks.dataset.checking.check import check_data
data_sync.CHECKPOINT_SECONDS = 0
def progress(moved):
    print(moved, flush=True)
    if moved.files == 12:
        os.kill(os.getpid(), 9)
root, bucket = map(Path, sys.argv[1:])
data_sync.sync_data(
    check_data(root), LocalStore(prefix=bucket, mkdir=True), "p", progress=progress, workers=2
)
"""


@pytest.mark.slow
def test_sync_that_was_killed_is_resumed(root: Path, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(root), str(bucket)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    # Between the kill and the next run a file leaves.
    (root / "train" / "a" / "000.jpg").unlink()
    store = LocalStore(prefix=bucket)
    check = check_data(root)
    result = sync_data(check, store, "p", delete=True)
    assert 8 <= result.skipped <= 12
    assert result.uploaded + result.skipped == 23
    found = {f"p/{file.key}" for file in check.files}
    assert set(data_keys(store)) == found
    for file in check.files:
        assert (bucket / "p" / file.key).read_bytes() == (root / file.path).read_bytes()


def test_content_put_by_a_failed_sync_is_not_trusted(root: Path, store: Any) -> None:
    sync_data(check_data(root), store, PREFIX)
    early, late = root / "test" / "a" / "000.jpg", root / "valid" / "a" / "000.jpg"
    original = early.read_bytes()
    write_picture(early, 1200)
    write_picture(late, 1201)
    check = check_data(root)
    write_picture(late, 1202)
    with pytest.raises(DataError, match="changed since"):
        sync_data(check, store, PREFIX, workers=1)
    key = f"{PREFIX}/test/a/000.jpg"
    assert bytes(obstore.get(store, key).bytes()) != original
    # The manifest must not still say that this object holds the old content.
    early.write_bytes(original)
    sync_data(check_data(root), store, PREFIX)
    assert bytes(obstore.get(store, key).bytes()) == original
