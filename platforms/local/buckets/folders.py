"""Buckets that are folders: ``s3://bucket/key`` is the file ``<root>/<bucket>/<key>``."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obstore.store import LocalStore

from platforms.archives import regular_files
from platforms.files import replacing
from platforms.local.buckets.buckets import BucketError, split_uri
from platforms.local.copies import copy_file, copy_tree


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderBuckets:
    """See :class:`platforms.local.buckets.buckets.Buckets`."""

    root: Path

    def __call__(self, bucket: str) -> Any:
        """Return the obstore store of a bucket; the bucket exists from then on."""
        return LocalStore(
            prefix=self.path(f"s3://{bucket}"),
            mkdir=True,
            # A key prefix without objects is not there: an empty folder would be an empty class.
            automatic_cleanup=True,
        )

    def path(self, uri: str) -> Path:
        """Return the file or folder of an S3 URI, there or not; always inside its bucket.

        Raises:
            BadUri: not ``s3://bucket/key``, or a key with ``.``, ``..`` or empty parts.
        """
        bucket, key = split_uri(uri)
        return self.root.joinpath(bucket, *key.split("/")) if key else self.root / bucket

    def where(self, bucket: str) -> str:
        """Return the bucket's folder."""
        return str(self.root / bucket)

    def is_object(self, uri: str) -> bool:
        """Tell whether the URI is a file's."""
        return self.path(uri).is_file()

    def has_objects(self, uri: str) -> bool:
        """Tell whether the URI is a file's, or a folder's with any file below it."""
        path = self.path(uri)
        return path.is_file() or any(each.is_file() for each in path.rglob("*"))

    @contextmanager
    def reading(self, uri: str, scratch: Path) -> Iterator[Path]:
        """Give the object's own file."""
        path = self.path(uri)
        if not path.is_file():
            raise BucketError(f"{uri} does not exist ({path})")
        yield path

    @contextmanager
    def writing(
        self, uri: str, scratch: Path, *, content_type: str | None = None
    ) -> Iterator[Path]:
        """Give a path beside the object's own, which takes its place at the end."""
        target = self.path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as fresh:
            yield fresh

    def mount(self, uri: str, folder: Path) -> None:
        """Copy the bucket's folder, or the one file, by reflink where the disk can."""
        source = self.path(uri)
        if source.is_dir():
            copy_tree(source, folder)
            return
        folder.mkdir()
        copy_file(source, folder / source.name)

    def on_disk(self, uri: str) -> Path | None:
        """Return the file or folder of the URI."""
        return self.path(uri)

    def push(self, folder: Path, uri: str, *, files: Iterable[Path] | None = None) -> None:
        """Copy files whose size or time differs to the bucket."""
        _copy_changed(folder, self.path(uri), files)

    def pull(self, uri: str, folder: Path) -> None:
        """Copy files whose size or time differs from the bucket."""
        _copy_changed(self.path(uri), folder)


def _copy_changed(source: Path, target: Path, files: Iterable[Path] | None = None) -> None:
    if not source.is_dir():
        return
    for path in regular_files(source) if files is None else files:
        copy = target / path.relative_to(source)
        try:
            if not _same(path, copy):
                _copy(path, copy)
        except FileNotFoundError:
            continue


def _same(path: Path, copy: Path) -> bool:
    try:
        there = copy.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    here = path.stat()
    return (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns)


def _copy(path: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    with replacing(copy) as fresh:
        shutil.copy2(path, fresh, follow_symlinks=False)
