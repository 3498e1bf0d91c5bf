"""Data sets in a bucket, and what is said of paths that lead nowhere."""

from __future__ import annotations

import os
from pathlib import Path

import obstore
import pytest

from platforms import Platform, connect
from platforms.errors import DataError
from tasks.dataset.checking.check import check_data
from tasks.dataset.source import bring_source, list_source, require_folder, same_source
from tasks.dataset.syncing.sync import sync_data
from tests.worlds.pictures import JPEG, write_data

FLAT = {"": {"cat": 4, "dog": 4}}


@pytest.fixture
def platform(whippet_home: Path) -> Platform:
    return connect()


def put(platform: Platform, folder: Path, prefix: str) -> str:
    bucket = platform.defaults.bucket
    for path in folder.rglob("*"):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(folder).as_posix()}"
            obstore.put(platform.store(bucket), key, path.read_bytes())
    return f"s3://{bucket}/{prefix}"


def test_pictures_in_a_bucket_are_mirrored(platform: Platform, tmp_path: Path) -> None:
    root = write_data(tmp_path / "pets", FLAT)
    for name in ("cat/@eaDir/1.jpg", "cat/notes.txt", ".DS_Store", "all.zip"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(JPEG)
    uri = put(platform, root, "mine/pets")
    folder = bring_source(platform, f"{uri}/")
    assert check_data(folder).fingerprint == check_data(root).fingerprint
    assert {path.name for path in folder.iterdir()} == {"cat", "dog"}
    assert len(list_source(platform, uri)) == 8

    # Only what changed comes again, and what left goes.
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    store = platform.store(platform.defaults.bucket)
    obstore.delete(store, "mine/pets/dog/000.jpg")
    obstore.put(store, "mine/pets/cat/000.jpg", JPEG)
    obstore.put(store, "mine/pets/eel/000.jpg", JPEG)
    assert bring_source(platform, uri) == folder
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    changed = {path.relative_to(folder).as_posix() for path in times.keys() ^ after.keys()}
    assert changed == {"dog/000.jpg", "eel/000.jpg"}
    assert (folder / "cat" / "000.jpg").read_bytes() == JPEG
    obstore.delete(store, "mine/pets/eel/000.jpg")
    bring_source(platform, uri)
    assert not (folder / "eel").exists()


def test_a_data_set_that_was_synced_is_a_source_too(platform: Platform, tmp_path: Path) -> None:
    check = check_data(write_data(tmp_path / "pets", FLAT))
    bucket = platform.defaults.bucket
    sync_data(check, platform.store(bucket), "whippet/datasets/pets")
    found = check_data(bring_source(platform, f"s3://{bucket}/whippet/datasets/pets"))
    assert found.fingerprint == check.fingerprint
    assert found.split_source == "folders"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://{}/nothing/here", "There are no pictures below '.*': check bucket and prefix"),
        ("s3://{}/texts", r"There are no pictures below '.*' \(only 1 other objects\)"),
        ("s3://{}", "is not an S3 URI"),
        ("s3:///x", "is not an S3 URI"),
    ],
)
def test_prefixes_without_pictures(platform: Platform, tmp_path: Path, uri: str, said: str) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("x")
    put(platform, tmp_path / "texts", "texts")
    with pytest.raises(DataError, match=said):
        bring_source(platform, uri.format(platform.defaults.bucket))


def test_one_source_in_two_spellings(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    assert same_source(str(tmp_path / "pets"), str(tmp_path / "." / "pets") + "/")
    assert same_source("s3://a/b", "s3://a/b/")
    assert not same_source("s3://a/b", str(tmp_path / "pets"))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("petz", "The data folder 'petz' cannot be read: No such file.*Did you mean 'pets'?"),
        ("Pets", r"Did you mean 'pets'\?"),
        ("pest/train set", r"Did you mean 'pets/train set'\?"),
        ("pets/trian set", r"Did you mean 'pets/train set'\?"),
        (
            "pets/nothing like it",
            "No such file or directory at '/.*/pets/nothing like it'. Check it, or give the whole",
        ),
        ("/nowhere/at all", "directory. Check the path and its permissions"),
        ("../{cwd}/petz", r"Did you mean '../.*/pets'\?"),
        ("https://example.org/pets.zip", "is an address: download it"),
        ("pets.zip", "is a file, not a folder.*unpack"),
        ("\nx", r"folder '\\nx' cannot"),
    ],
)
def test_paths_that_lead_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, said: str
) -> None:
    (tmp_path / "pets" / "train set").mkdir(parents=True)
    (tmp_path / "pets.zip").write_bytes(b"PK")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=said):
        require_folder(typed.replace("{cwd}", tmp_path.name))
    require_folder("pets")
    require_folder(os.fspath(tmp_path / "pets"))
