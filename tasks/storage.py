"""Objects of the bucket by their S3 URI: read, download to a file, list."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import obstore

from platforms import Platform
from platforms.errors import DataError


def split_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of an S3 URI.

    Raises:
        DataError: not of the form ``s3://bucket/key``.
    """
    scheme, rest = uri[:5], uri[5:]
    bucket, _, key = rest.partition("/")
    if scheme != "s3://" or not bucket or not key:
        raise DataError(f"{uri!r} is not an S3 URI: use s3://bucket/key")
    return bucket, key


def read_object(platform: Platform, uri: str) -> bytes:
    """Return the bytes of one object.

    Raises:
        DataError: there is no such object.
    """
    bucket, key = split_uri(uri)
    try:
        return bytes(obstore.get(platform.store(bucket), key).bytes())
    except FileNotFoundError as error:
        raise DataError(f"{uri} does not exist") from error


def download(platform: Platform, uri: str, path: Path) -> None:
    """Write one object to ``path``: streamed, visible only when complete.

    Raises:
        DataError: there is no such object.
    """
    bucket, key = split_uri(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in obstore.get(platform.store(bucket), key).stream():
                file.write(chunk)
        Path(name).replace(path)
    except FileNotFoundError as error:
        raise DataError(f"{uri} does not exist") from error
    finally:
        Path(name).unlink(missing_ok=True)


def list_keys(platform: Platform, uri: str) -> list[str]:
    """Return the URIs of all objects below a prefix, sorted."""
    bucket, prefix = split_uri(uri)
    pages = obstore.list(platform.store(bucket), prefix=prefix)
    return sorted(f"s3://{bucket}/{item['path']}" for page in pages for item in page)
