"""Download a synced data set from the bucket to a folder: every file verified by its manifest.

How a file is received: :mod:`tasks.storage.receive`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from obstore.store import ObjectStore

from platforms.errors import DataError
from tasks.dataset.syncing.manifest import Entry, read_manifest
from tasks.storage.receive import FetchResult, Receiver, Wanted
from tasks.storage.sync_progress import Moved
from tasks.storage.transfers import MOST_AT_A_TIME


def fetch_data(
    store: ObjectStore,
    prefix: str,
    folder: Path,
    *,
    progress: Callable[[Moved], None] | None = None,
    workers: int = MOST_AT_A_TIME,
) -> FetchResult:
    """Make ``folder`` hold every file of the data set below ``prefix``; delete nothing.

    Existing files are hashed, and received again only if they differ.

    Args:
        store: obstore store of the bucket.
        prefix: key prefix of the data set, without a slash at its end.
        folder: made when it is not there.
        progress: called after each file, from the caller's thread.
        workers: downloads at a time, at most.

    Raises:
        DataError: there is no data set, it is incomplete, or a key leads out of the folder.
        StoreFailed: an object cannot be read, or is not what the manifest says.
    """
    started = time.monotonic()
    manifest = read_manifest(store, prefix)
    if not manifest.files or manifest.pending:
        raise DataError(
            f"There is no complete data set below '{prefix}': sync it again, to the end, then "
            "fetch."
        )
    files = [_wanted(name, entry) for name, entry in sorted(manifest.files.items())]
    result = Receiver(store, prefix, folder, "sha256").receive_all(files, progress, workers)
    return replace(result, seconds=time.monotonic() - started)


def _wanted(name: str, entry: Entry) -> Wanted:
    return Wanted(
        name=name,
        size=entry.size,
        version=entry.sha256,
        digest=entry.sha256,
        is_right=entry.sha256.__eq__,
    )
