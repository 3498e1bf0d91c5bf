"""Buckets of the local platform: ``s3://bucket/key`` is the file ``<root>/<bucket>/<key>``."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obstore.store import LocalStore

from platforms.errors import WhippetError

_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)


class BadUri(WhippetError):
    """Raised when an S3 URI has no place in a local bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """All local buckets. Also the platform's ``Store``: call it with a bucket's name."""

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
        match = _URI.fullmatch(uri)
        if match is None:
            raise BadUri(f"{uri!r} is not of the form s3://bucket/key")
        bucket, key = match.group(1), (match.group(2) or "").rstrip("/")
        parts = key.split("/") if key else []
        if any(part in {"", ".", ".."} or "\0" in part for part in parts):
            raise BadUri(f"{uri!r} has a key part that cannot be a file name")
        return self.root.joinpath(bucket, *parts)

    def put_file(self, source: Path, uri: str) -> None:
        """Copy a file to a key, atomically: readers see all of it or what was there before."""
        target = self.path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = staged(target)
        try:
            shutil.copyfile(source, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def staged(path: Path) -> Path:
    """Return where to write a file of a bucket before it is moved to ``path``.

    obstore's LocalStore does not list names that end in ``#<digits>``: its own staging files.
    """
    return path.with_name(f"{path.name}#{os.getpid()}{secrets.randbelow(10**9):09d}")
