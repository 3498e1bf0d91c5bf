"""Put objects into a bucket and get them back: atomic, verified, without superfluous transfers.

``store`` is always an obstore store of one bucket. obstore itself retries transient request errors
(throttling, 5xx, broken connections). This module retries what obstore misses: answers that break
off, and bytes that changed on the way, as shown by the object's tag (ETag). A tag that looks like
an MD5 may not be one (encryption by KMS), so if a tag disagrees, the object is read again to
decide. An error that leaves this module is final: :class:`StoreFailed`.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import obstore
from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import ObjectStore

from platforms.errors import WhippetError
from sm_entrypoints.contract.kill_points import label_of, reach
from sm_entrypoints.contract.sentences import ended

ATTEMPTS = 6
# Twelve parts at a time, obstore's default, do not arrive within its time limit on a slow line.
_PARTS_AT_A_TIME = 4
_LARGEST_SINGLE = 16 * 2**20
_LONGEST_PAUSE = 5.0
_MD5_TAG = re.compile(r"[0-9a-f]{32}")
# Asking again cannot help.
FINAL = (
    FileNotFoundError,
    PermissionError,
    InvalidPathError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)

Result = TypeVar("Result")


class StoreFailed(WhippetError):
    """Raised when an object cannot be written, read, listed or deleted."""


def pauses() -> Iterator[float]:
    """Yield the number of seconds to wait before each attempt: 0, then longer, with jitter."""
    for attempt in range(ATTEMPTS):
        yield random.uniform(0, min(_LONGEST_PAUSE, 0.1 * 2**attempt)) if attempt else 0.0


def again(act: Callable[[], Result]) -> Result:
    """Return what ``act`` returns; call it again, a bounded number of times, when it fails.

    Raises:
        BaseError, OSError: the last failure, or the first that cannot pass.
    """
    failure: BaseError | OSError | None = None
    for pause in pauses():
        time.sleep(pause)
        try:
            return act()
        except FINAL:
            raise
        except (BaseError, OSError) as error:
            if _refused(error):
                raise
            failure = error
    assert failure is not None
    raise failure


def plain_tag(tag: str | None) -> str | None:
    """Return a tag without its quotation marks: rclone's listings leave them out."""
    return tag.strip('"') if tag else None


def is_md5(tag: str | None) -> bool:
    """Tell whether a tag looks like the MD5 of a content."""
    return _MD5_TAG.fullmatch(tag or "") is not None


def matches(tag: str | None, content: bytes) -> bool | None:
    """Tell whether a tag is the MD5 of ``content``; None when it does not look like an MD5."""
    if tag is None or not is_md5(tag):
        return None
    return tag == hashlib.md5(content, usedforsecurity=False).hexdigest()


def store_said(error: Exception, action: str, where: str) -> str:
    """Return the store's message, without obstore's dump of its internal structures.

    Args:
        error: obstore's.
        action: what IAM calls the request (``s3:GetObject``): named when it was refused.
        where: bucket, or bucket and key, that it was about; empty for a folder's store.
    """
    message = str(error).partition("\n\nDebug source")[0]
    if where and _refused(error):
        # Deferred: botocore takes longer to import than a sync of unchanged data.
        from platforms.client_errors import denial_sentence

        return denial_sentence(message, action, f"arn:aws:s3:::{where}")
    return message


def _refused(error: Exception) -> bool:
    """Whether a right is missing: asking again cannot help."""
    # A refused listing is obstore's GenericError, a deletion of many answers with codes.
    return isinstance(error, PermissionDeniedError) or any(
        sign in str(error) for sign in ("status code: 403", "(code: AccessDenied)")
    )


def place_of(store: ObjectStore, key: str = "") -> str:
    """Return bucket and key as an ARN ends; empty for a store that has no bucket."""
    bucket = getattr(store, "config", {}).get("bucket", "")
    return f"{bucket}/{key}" if bucket and key else str(bucket)


def put_object(store: ObjectStore, key: str, content: bytes | Path) -> str | None:
    """Write one object: readers see all of it or what was there before. Returns its tag.

    Raises:
        StoreFailed: no space, no permission, no such bucket; names the key.
    """
    size = content.stat().st_size if isinstance(content, Path) else len(content)
    parts = None if size > _LARGEST_SINGLE else False

    def put() -> str | None:
        reach(f"put {label_of(Path(key))}")
        stored = obstore.put(
            store, key, content, use_multipart=parts, max_concurrency=_PARTS_AT_A_TIME
        )
        reach(f"put {label_of(Path(key))}: done")
        return plain_tag(stored["e_tag"])

    try:
        return again(put)
    except (BaseError, OSError, ValueError) as error:
        raise StoreFailed(
            f"Could not write '{key}' to {store!r}: "
            f"{ended(store_said(error, 's3:PutObject', place_of(store, key)))} Check its free "
            "space and permissions, then run again."
        ) from error


def put_checked(store: ObjectStore, key: str, content: bytes) -> str | None:
    """Write one object and make sure that it holds ``content``. Returns its tag.

    Raises:
        StoreFailed: as :func:`put_object`, or other bytes arrive again and again.
    """
    for pause in pauses():
        time.sleep(pause)
        tag = put_object(store, key, content)
        if matches(tag, content) is not False or read_if_there(store, key) == content:
            return tag
    raise StoreFailed(
        f"'{key}' was written to {store!r} {ATTEMPTS} times, and had different bytes each time: "
        "something on the way changes them."
    )


def put_once(store: ObjectStore, key: str, content: bytes | Path) -> bool:
    """Write an object whose key names its content, unless it is there; tell whether written.

    Raises:
        StoreFailed: as :func:`put_object`.
    """
    there = size_of(store, key)
    if there == (content.stat().st_size if isinstance(content, Path) else len(content)):
        return False
    put_object(store, key, content)
    return True


def size_of(store: ObjectStore, key: str) -> int | None:
    """Return an object's size in bytes, or None when there is none.

    Raises:
        StoreFailed: it cannot be looked for.
    """
    try:
        return int(again(lambda: obstore.head(store, key))["size"])
    except FileNotFoundError:
        return None
    except (BaseError, OSError) as error:
        reason = store_said(error, "s3:GetObject", place_of(store, key))
        raise StoreFailed(f"Could not check '{key}' in {store!r}: {reason}") from error


def read_if_there(store: ObjectStore, key: str) -> bytes | None:
    """Return an object's bytes, or None when there is none.

    Raises:
        StoreFailed: it cannot be read.
    """
    try:
        return read_checked(store, key)
    except FileNotFoundError:
        return None
    except (BaseError, OSError) as error:
        reason = store_said(error, "s3:GetObject", place_of(store, key))
        raise StoreFailed(f"Could not read '{key}' from {store!r}: {reason}") from error


def read_checked(store: ObjectStore, key: str) -> bytes:
    """Return an object's bytes: as its tag says, or else the same in two readings.

    Raises:
        FileNotFoundError: there is no such object.
        BaseError, OSError: it cannot be read.
    """
    doubtful = None
    while True:
        tag, content = again(lambda: _read(store, key))
        # A tag that is no MD5 disagrees every time; bytes that a fault changed differ.
        if matches(tag, content) is not False or content == doubtful:
            return content
        doubtful = content


def _read(store: ObjectStore, key: str) -> tuple[str | None, bytes]:
    answer = obstore.get(store, key)
    return plain_tag(answer.meta["e_tag"]), bytes(answer.bytes())


def answer_seconds(store: ObjectStore, key: str) -> float:
    """Return the seconds that a store takes to say whether there is an object."""
    shortest = math.inf
    for _ in range(2):  # the first may have to open a connection
        started = time.monotonic()
        with contextlib.suppress(BaseError, OSError):
            obstore.head(store, key)
        shortest = min(shortest, time.monotonic() - started)
    return shortest


def delete_objects(store: ObjectStore, keys: list[str]) -> None:
    """Delete objects that are there.

    Raises:
        StoreFailed: one cannot be deleted.
    """
    if not keys:
        return
    try:
        obstore.delete(store, keys)
    except (BaseError, OSError) as error:
        reason = store_said(error, "s3:DeleteObject", place_of(store, keys[0]))
        raise StoreFailed(f"Could not delete from {store!r}: {reason}") from error
