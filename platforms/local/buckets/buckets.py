"""What the local platform does with buckets, whether they are folders or on an S3 server.

:class:`platforms.local.buckets.folders.FolderBuckets` is the usual one;
:class:`platforms.local.buckets.s3.S3Buckets` is used when ``WHIPPET_S3_ENDPOINT`` names a server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from platforms.errors import WhippetError

_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)


class BadUri(WhippetError):
    """Raised when an S3 URI has no place in a bucket of this platform."""


class BucketError(WhippetError):
    """Raised when an object is not there, or its bucket cannot be read or written."""


class Buckets(Protocol):
    """All buckets of the platform. Also the platform's ``Store``: call it with a bucket's name.

    Every method may raise ``BadUri``; those that read or write also ``BucketError``.
    """

    def __call__(self, bucket: str) -> Any:
        """Return the obstore store of a bucket."""

    def where(self, bucket: str) -> str:
        """Say where a bucket is: for messages."""

    def is_object(self, uri: str) -> bool:
        """Tell whether there is an object of exactly this URI."""

    def has_objects(self, uri: str) -> bool:
        """Tell whether there is an object of this URI or below it."""

    def reading(self, uri: str, scratch: Path) -> AbstractContextManager[Path]:
        """Give a file with an object's bytes, to be read only, until the context ends.

        ``scratch`` is a folder of the caller for it when the bucket is not on this disk.
        """

    def writing(
        self, uri: str, scratch: Path, *, content_type: str | None = None
    ) -> AbstractContextManager[Path]:
        """Give a path to write a file at; it is the object once the context ended well.

        ``scratch``: as for :meth:`reading`. A bucket that is a folder keeps no content type.
        """

    def mount(self, uri: str, folder: Path) -> None:
        """Copy the object or the objects of ``uri`` into ``folder``, which must not exist."""

    def on_disk(self, uri: str) -> Path | None:
        """Return the bucket's own file or folder of a URI; None when it is not on this disk.

        Do not show it to a process that could write to it.
        """

    def push(self, folder: Path, uri: str, *, files: Iterable[Path] | None = None) -> None:
        """Copy the regular files below ``folder`` that are new or changed; remove nothing.

        ``files`` are those to look at, all of them below ``folder``; default: every one.

        A file that disappears meanwhile is skipped. Objects are replaced atomically.
        """

    def pull(self, uri: str, folder: Path) -> None:
        """Copy the objects below ``uri`` into ``folder``: the opposite of :meth:`push`."""


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key (without a slash at its end) of an S3 URI.

    Raises:
        BadUri: not ``s3://bucket/key``, or a key with ``.``, ``..`` or empty parts.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise BadUri(f"{uri!r} is not of the form s3://bucket/key")
    bucket, key = match.group(1), (match.group(2) or "").rstrip("/")
    if key and not is_plain(key):
        raise BadUri(f"{uri!r} has a key part that cannot be a file name")
    return bucket, key


def is_plain(key: str) -> bool:
    """Tell whether every part of a key can be the name of a file."""
    return not any(part in {"", ".", ".."} or "\0" in part for part in key.split("/"))
