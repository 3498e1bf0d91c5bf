"""Download the objects below a prefix to a folder: job outputs and others without hashes.

There is no record of a file's contents, so it is compared with the listing: its size, and its tag
if that is an MD5. If a tag looks like an MD5 but is not one (encryption by KMS), the same bytes
must arrive twice. How a file is received: :mod:`tasks.storage.receive`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from obstore.store import ObjectStore

from platforms.errors import DataError
from tasks.storage.listing import Listed, list_objects
from tasks.storage.objects import is_md5
from tasks.storage.receive import FetchResult, Receiver, Wanted
from tasks.storage.sync_progress import Moved
from tasks.storage.transfers import MOST_AT_A_TIME


def fetch_objects(
    store: ObjectStore,
    prefix: str,
    folder: Path,
    *,
    progress: Callable[[Moved], None] | None = None,
) -> FetchResult:
    """Make ``folder`` hold every object below ``prefix``; delete nothing.

    Args:
        store: obstore store of the bucket.
        prefix: key prefix without a slash at its end.
        folder: made when it is not there.
        progress: called after each file, from the caller's thread.

    Raises:
        DataError: nothing is there, or a key leads out of the folder.
        StoreFailed: an object cannot be read, or arrives otherwise than the listing says.
    """
    started = time.monotonic()
    there = list_objects(store, prefix)
    if not there:
        raise DataError(f"No objects under '{prefix}' in {store!r}.")
    files = [
        wanted_object(name, listed) for name, listed in sorted(there.items(), key=lambda at: at[0])
    ]
    result = Receiver(store, prefix, folder, "md5").receive_all(files, progress, MOST_AT_A_TIME)
    return replace(result, seconds=time.monotonic() - started)


def wanted_object(name: str, listed: Listed) -> Wanted:
    """Return what a listing says about an object to receive."""
    return Wanted(
        name=name,
        size=listed.size,
        version=str(listed.tag),
        digest=listed.tag if is_md5(listed.tag) else None,
        is_right=_Tagged(tag=listed.tag),
    )


@dataclass(slots=True, kw_only=True)
class _Tagged:
    """Whether a digest is the tag's, or the same as the time before."""

    tag: str | None
    before: str | None = None

    def __call__(self, digest: str) -> bool:
        if not is_md5(self.tag) or digest in (self.tag, self.before):
            return True
        self.before = digest
        return False
