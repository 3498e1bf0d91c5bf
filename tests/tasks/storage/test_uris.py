from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import LocalStore

from platforms.errors import DataError
from tasks.storage.uris import download, read_object, split_uri


@dataclass
class Buckets:
    """The part of a platform that storage uses: a store for each bucket."""

    root: Path

    def store(self, bucket: str) -> Any:
        return LocalStore(self.root / bucket, mkdir=True)


@pytest.fixture
def buckets(awkward_path) -> Buckets:
    return Buckets(awkward_path)


KEYS = ["plain.txt", "a b/it's é.jpg", "deep/er/x.json", 'say "hi".png', "100%.txt", "a+b=c&d.txt"]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://b/k", ("b", "k")),
        ("s3://b/a b/é.jpg", ("b", "a b/é.jpg")),
        ("s3://b/k/", ("b", "k/")),
    ],
)
def test_uris_are_split(uri, expected):
    assert split_uri(uri) == expected


@pytest.mark.parametrize(
    "uri", ["", "s3://", "s3://b", "s3://b/", "s3:///k", "/b/k", "https://b/k"]
)
def test_what_is_no_uri_is_refused(uri):
    with pytest.raises(DataError, match="is not an S3 URI: use s3://bucket/key"):
        split_uri(uri)


@pytest.mark.parametrize("key", KEYS)
def test_objects_are_read_and_downloaded_under_any_name(buckets, awkward_path, key):
    obstore.put(buckets.store("bucket"), key, b"\x00content")
    assert read_object(buckets, f"s3://bucket/{key}") == b"\x00content"
    target = awkward_path / "new folder" / "file"
    target.parent.mkdir()
    target.write_bytes(b"older and longer than the new content")
    download(buckets, f"s3://bucket/{key}", target)
    assert target.read_bytes() == b"\x00content"
    assert list(target.parent.iterdir()) == [target]


def test_large_objects_are_whole(buckets, awkward_path):
    content = bytes(range(256)) * 100_000
    obstore.put(buckets.store("bucket"), "big", content)
    download(buckets, "s3://bucket/big", awkward_path / "big")
    assert (awkward_path / "big").read_bytes() == content


def test_a_missing_object_is_named_and_leaves_the_old_file(buckets, awkward_path):
    target = awkward_path / "sub" / "file"
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(DataError, match=r"^s3://bucket/none does not exist$"):
        read_object(buckets, "s3://bucket/none")
    with pytest.raises(DataError, match=r"^s3://bucket/none does not exist$"):
        download(buckets, "s3://bucket/none", target)
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]
