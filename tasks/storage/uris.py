"""Objects of the bucket by their S3 URI: read, download to a file, list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
from obstore.exceptions import BaseError

from platforms import Platform
from platforms.errors import DataError
from platforms.files import replacing
from tasks.storage.objects import StoreFailed, store_said


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


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Say that there is no such object, or which action is missing where S3 only says no."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{uri} does not exist") from error
    except BaseError as error:
        # A folder may refuse as well, which is no matter of IAM.
        if "status code: 403" not in str(error):
            raise
        where = "/".join(split_uri(uri))
        raise StoreFailed(f"{uri}: {store_said(error, 's3:GetObject', where)}") from error


def read_object(platform: Platform, uri: str) -> bytes:
    """Return the bytes of one object.

    Raises:
        DataError: there is no such object.
        StoreFailed: it may not be read.
    """
    bucket, key = split_uri(uri)
    with _explained(uri):
        return bytes(obstore.get(platform.store(bucket), key).bytes())


def download(platform: Platform, uri: str, path: Path) -> None:
    """Write one object to ``path``: streamed, visible only when complete.

    Raises:
        DataError: there is no such object.
        StoreFailed: it may not be read.
    """
    bucket, key = split_uri(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _explained(uri), replacing(path) as fresh, fresh.open("wb") as file:
        for chunk in obstore.get(platform.store(bucket), key).stream():
            file.write(chunk)
