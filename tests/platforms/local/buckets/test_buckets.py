from __future__ import annotations

from pathlib import Path

import obstore
import pytest

from platforms.local.buckets.buckets import BadUri
from platforms.local.buckets.folders import FolderBuckets
from sm_entrypoints.contract.files import staged


def test_a_key_is_a_file(tmp_path: Path) -> None:
    buckets = FolderBuckets(root=tmp_path / "it's é")
    obstore.put(buckets("a-bucket"), "x/é '1'.jpg", b"1")
    path = buckets.path("s3://a-bucket/x/é '1'.jpg")
    assert path.read_bytes() == b"1"
    with buckets.writing("s3://a-bucket/y/2.jpg", tmp_path) as target:
        target.write_bytes(b"1")
    assert bytes(obstore.get(buckets("a-bucket"), "y/2.jpg").bytes()) == b"1"
    assert buckets.path("s3://a-bucket") == buckets.path("s3://a-bucket/")
    assert buckets.path("s3://a-bucket/x/") == buckets.path("s3://a-bucket/x")


@pytest.mark.parametrize(
    "uri",
    [
        "a-bucket/x",
        "https://a-bucket/x",
        "s3://",
        "s3://../x",
        "s3://A_B/x",
        "s3://a-bucket/../x",
        "s3://a-bucket/a/./b",
        "s3://a-bucket/a//b",
        "s3://a-bucket/a\0b",
    ],
)
def test_what_has_no_place(tmp_path: Path, uri: str) -> None:
    with pytest.raises(BadUri):
        FolderBuckets(root=tmp_path).path(uri)


def test_half_written_files_are_not_listed(tmp_path: Path) -> None:
    buckets = FolderBuckets(root=tmp_path)
    store = buckets("a-bucket")
    staged(buckets.path("s3://a-bucket/model.tar.gz")).write_bytes(b"half")
    obstore.put(store, "whole", b"1")
    assert [each["path"] for page in obstore.list(store) for each in page] == ["whole"]
