"""Bring the objects below a prefix to a folder: what a job wrote, and other things without hashes.

As with a data set (:mod:`tasks.data_sync_download`) a file is received into a hidden folder and
moved to its place when it is complete. Nobody said what it should hold, so it is compared with what
the listing says: its size, and its tag where that is an MD5. Where a tag looks like one and is none
(encryption by KMS), the same bytes must arrive twice.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError

from platforms.errors import DataError
from tasks.data_sync_download import PARTS, FetchResult, move, receive, refuse_escapes
from tasks.data_sync_pool import MOST_AT_A_TIME, transfer
from tasks.data_sync_progress import Meter, Moved
from tasks.object_listing import Listed, list_objects
from tasks.objects import ATTEMPTS, FINAL, StoreFailed, is_md5, pauses

# What one transfer holds in memory, at most.
_HELD = 2**18


def fetch_objects(
    store: Any, prefix: str, folder: Path, *, progress: Callable[[Moved], None] | None = None
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
        raise DataError(f"Below '{prefix}' is nothing in {store!r}.")
    refuse_escapes(list(there))
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    meter = Meter(len(there), sum(each.size for each in there.values()), progress)
    received: list[int] = []
    one = partial(_one, store, prefix, folder)
    for (_, listed), is_new in transfer(
        sorted(there.items(), key=lambda item: item[0]), one, lambda _: _HELD, most=MOST_AT_A_TIME
    ):
        if is_new:
            received.append(listed.size)
        meter.add(listed.size)
    shutil.rmtree(folder / PARTS)
    return FetchResult(
        fetched=len(received),
        skipped=len(there) - len(received),
        bytes_fetched=sum(received),
        seconds=time.monotonic() - started,
    )


def _one(store: Any, prefix: str, folder: Path, item: tuple[str, Listed]) -> bool:
    """Make one file what the listing says; tell whether it had to be received."""
    name, listed = item
    target, key = folder / name, f"{prefix}/{name}"
    if _holds(target, listed):
        return False
    # The tag is in the name: what was received of another version is not gone on with.
    part = folder / PARTS / hashlib.sha256(f"{name} {listed.tag}".encode()).hexdigest()
    doubtful, failure = None, "it is not what the listing says"
    for pause in pauses():
        time.sleep(pause)
        try:
            found = receive(store, key, listed.size, part, "md5")
        except FINAL as error:
            raise StoreFailed(f"Could not read '{key}': {error}") from error
        except (BaseError, OSError) as error:
            failure = str(error).partition("\n\nDebug source")[0]
            continue
        right = not is_md5(listed.tag) or found in (listed.tag, doubtful)
        if right and part.stat().st_size == listed.size:
            move(part, target)
            return True
        doubtful = found
        part.unlink(missing_ok=True)
    raise StoreFailed(f"Could not read '{key}' in {ATTEMPTS} attempts: {failure}")


def _holds(path: Path, listed: Listed) -> bool:
    """Tell whether a file is certainly what the listing says."""
    if not is_md5(listed.tag):
        return False
    try:
        if path.stat().st_size != listed.size:
            return False
        with path.open("rb") as file:
            new = partial(hashlib.md5, usedforsecurity=False)
            return hashlib.file_digest(file, new).hexdigest() == listed.tag
    except OSError:
        return False
