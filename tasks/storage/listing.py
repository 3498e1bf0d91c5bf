"""List the objects below a prefix, several pages at a time if the keys are predictable.

S3 returns at most 1,000 objects per answer, in the order of their keys, and each answer says where
the next one begins: 8,000 objects are nine round trips, one after the other. A caller that expects
certain keys can request the ranges between some of them in parallel. Everything is found, expected
or not: the ranges are contiguous, and each is read to its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store

from tasks.storage.objects import StoreFailed, again, place_of, plain_tag, store_said

if TYPE_CHECKING:
    from obstore import ObjectMeta

# What S3 shows in one answer, at most.
PAGE = 1000
_AT_A_TIME = 8
# Keys that mean the same to everyone, however they are quoted on the way.
_PLAIN = re.compile("[A-Za-z0-9/._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An object as a listing shows it: bytes, its tag if the store has tags, when it was put."""

    size: int
    tag: str | None
    modified: datetime | None = field(default=None, compare=False)


def list_objects(
    store: ObjectStore, prefix: str, expected: Iterable[str] = ()
) -> dict[str, Listed]:
    """Return every object below ``prefix``, by its key without the prefix.

    Args:
        store: obstore store of the bucket.
        prefix: key prefix without a slash at its end.
        expected: keys, without the prefix, that are probably there: their number and order say
            how to divide a long listing. They do not change what is returned.

    Raises:
        StoreFailed: the bucket cannot be listed.
    """
    try:
        return _list(store, prefix, expected)
    except (BaseError, OSError) as error:
        reason = store_said(error, "s3:ListBucket", place_of(store))
        raise StoreFailed(f"Could not list '{prefix}' in {store!r}: {reason}") from error


def _list(store: ObjectStore, prefix: str, expected: Iterable[str]) -> dict[str, Listed]:
    # A folder is read as a whole whatever is asked of it.
    bounds = _bounds(prefix, expected) if isinstance(store, S3Store) else []
    stretches = list(zip([None, *bounds], [*bounds, None], strict=True))

    def read(each: tuple[str | None, str | None]) -> dict[str, Listed]:
        return again(partial(_stretch, store, prefix, *each))

    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="list") as pool:
        parts = [pool.submit(read, each) for each in stretches[:_AT_A_TIME]]
        objects = parts[0].result()
        if len(objects) >= PAGE:  # else that is all there is
            parts += [pool.submit(read, each) for each in stretches[_AT_A_TIME:]]
    for part in parts[1:]:
        objects |= part.result()
    return objects


def _bounds(prefix: str, expected: Iterable[str]) -> list[str]:
    """Return the keys that divide what is expected into the fewest pages, of one length."""
    # Python and S3 order alike: code points as UTF-8 bytes.
    keys = sorted(expected)
    pages = -(-len(keys) // PAGE)
    ends = [keys[number * len(keys) // pages - 1] for number in range(1, pages)]
    return [key for key in ends if _PLAIN.fullmatch(f"{prefix}/{key}")]


def _stretch(
    store: ObjectStore, prefix: str, after: str | None, until: str | None
) -> dict[str, Listed]:
    """Return what is between two keys, the second included, and perhaps more behind that.

    None stands for the beginning, and for the end.
    """
    objects: dict[str, Listed] = {}
    offset = None if after is None else f"{prefix}/{after}"
    for page in obstore.list(store, prefix=prefix, offset=offset, chunk_size=PAGE):
        objects |= _listed(page, prefix)
        if until is not None and until <= max(objects):
            break
    return objects


def _listed(page: Iterable[ObjectMeta], prefix: str) -> dict[str, Listed]:
    cut = len(prefix) + 1
    return {
        item["path"][cut:]: Listed(
            size=item["size"], tag=plain_tag(item["e_tag"]), modified=item["last_modified"]
        )
        for item in page
    }
