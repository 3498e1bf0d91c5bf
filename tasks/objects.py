"""Put objects into a bucket: atomically, and not again when they are there.

``store`` is an obstore store of one bucket everywhere here. obstore itself retries what passes
(throttling, broken connections), so an error that leaves it is final: :class:`StoreFailed`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError

from platforms.errors import WhippetError


class StoreFailed(WhippetError):
    """Raised when an object cannot be written, read, listed or deleted."""


def _said(error: Exception) -> str:
    """Return what the store said, without obstore's dump of its own structures."""
    return str(error).partition("\n\nDebug source")[0]


def put_object(store: Any, key: str, content: bytes | Path) -> None:
    """Write one object: readers see all of it or what was there before.

    Raises:
        StoreFailed: no space, no right, no such bucket; names the key.
    """
    try:
        obstore.put(store, key, content)
    except (BaseError, OSError, ValueError) as error:
        raise StoreFailed(
            f"Could not write '{key}' to {store!r}: {_said(error)}. "
            "Check free space and rights there, then run again."
        ) from error


def put_once(store: Any, key: str, content: bytes | Path) -> bool:
    """Write an object whose key names its content, unless it is there; tell whether written.

    Raises:
        StoreFailed: as :func:`put_object`.
    """
    size = content.stat().st_size if isinstance(content, Path) else len(content)
    try:
        there = int(obstore.head(store, key)["size"]) == size
    except FileNotFoundError:
        there = False
    except (BaseError, OSError) as error:
        raise StoreFailed(f"Could not look for '{key}' in {store!r}: {_said(error)}") from error
    if not there:
        put_object(store, key, content)
    return not there


def read_if_there(store: Any, key: str) -> bytes | None:
    """Return an object's bytes, or None when there is none.

    Raises:
        StoreFailed: it cannot be read.
    """
    try:
        return bytes(obstore.get(store, key).bytes())
    except FileNotFoundError:
        return None
    except (BaseError, OSError) as error:
        raise StoreFailed(f"Could not read '{key}' from {store!r}: {_said(error)}") from error


def list_sizes(store: Any, prefix: str) -> dict[str, int]:
    """Return the size in bytes of every object below ``prefix``, by its key without the prefix.

    Raises:
        StoreFailed: the bucket cannot be listed.
    """
    try:
        return {
            item["path"].removeprefix(f"{prefix}/"): int(item["size"])
            for page in obstore.list(store, prefix=prefix, chunk_size=1000)
            for item in page
        }
    except (BaseError, OSError) as error:
        raise StoreFailed(f"Could not list '{prefix}' in {store!r}: {_said(error)}") from error


def delete_objects(store: Any, keys: list[str]) -> None:
    """Delete objects that are there.

    Raises:
        StoreFailed: one cannot be deleted.
    """
    if not keys:
        return
    try:
        obstore.delete(store, keys)
    except (BaseError, OSError) as error:
        raise StoreFailed(f"Could not delete from {store!r}: {_said(error)}") from error
