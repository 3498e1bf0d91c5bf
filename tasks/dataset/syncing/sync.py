"""Upload a checked data set to the bucket, transferring only what changed.

Channels are key prefixes, so the objects below ``<prefix>/{train,valid,test}/`` must be the data
set and nothing else. The manifest (:mod:`tasks.dataset.syncing.manifest`) says which objects are
ours. It is written before the first change (objects about to change move to ``pending``), at
intervals during the sync, and at the end. If a sync is killed anywhere, the next one resumes it and
sends the rest: an object that is already there is recognised by its tag, if the store's tags are
MD5s.

Objects of files that left the data set would be trained on: without permission to delete them they
are an error. An object that we did not put is never deleted or trained on; it is an error too. One
data set has one writer at a time, but a job that is reading a data set does not stop anyone from
changing it: to have both, give the changed data set another name.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from obstore.store import ObjectStore

from platforms.errors import DataError, shown, some
from sm_entrypoints.contract.sentences import ended
from tasks.dataset.checking.files import DataFile, DataFiles
from tasks.dataset.identity import origin_of
from tasks.dataset.syncing.manifest import Entry, Manifest, read_manifest, write_manifest
from tasks.dataset.syncing.refusals import refuse_another, refuse_strangers, refuse_to_keep
from tasks.storage.listing import Listed, list_objects
from tasks.storage.objects import (
    StoreFailed,
    answer_seconds,
    delete_objects,
    is_md5,
    matches,
    put_checked,
)
from tasks.storage.receive import MANIFEST
from tasks.storage.sync_progress import Meter, Moved
from tasks.storage.transfers import MOST_AT_A_TIME, transfer, uploads_at_a_time

# What a kill can cost where tags do not tell what objects hold.
CHECKPOINT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """What a sync did.

    Attributes:
        prefix: key prefix of the data set; its channels are ``<prefix>/<split>/``.
        uploaded: objects written.
        skipped: objects that were there already, with this content.
        removed: objects deleted because their files left the data set.
        seconds: wall time.
    """

    prefix: str
    uploaded: int
    skipped: int
    removed: int
    seconds: float


def sync_data(
    check: DataFiles,
    store: ObjectStore,
    prefix: str,
    *,
    delete: bool = False,
    progress: Callable[[Moved], None] | None = None,
    workers: int = MOST_AT_A_TIME,
) -> SyncResult:
    """Make the objects below ``prefix`` the data set of ``check``.

    Unchanged data costs one read and one listing and moves nothing. Content counts, not times: a
    changed file of the same size is found. Every file is hashed as it is sent and every object's
    tag is compared; where tags are no MD5s, sizes in the bucket are compared at the end.

    Args:
        check: the data set; its files are read from ``check.root``.
        store: obstore store of the bucket.
        prefix: key prefix without a slash at its end.
        delete: remove objects that an earlier sync put and whose files left the data set.
        progress: called after each file, from the caller's thread.
        workers: uploads at a time, at most.

    Raises:
        DataError: a file changed since the check, or the prefix holds another data set, objects
            that are not ours, or objects to delete; in the latter three cases nothing was changed.
        StoreFailed: the bucket cannot be read or written.
    """
    started = time.monotonic()
    wanted = _wanted(check)
    manifest, there = _look(store, prefix, wanted)
    refuse_strangers(wanted, manifest, there, prefix)
    refuse_another(wanted, manifest, check.root, prefix)
    stale = sorted(there.keys() - wanted.keys())
    refuse_to_keep([] if delete else stale, prefix)
    unchanged = _unchanged(wanted, manifest, there)
    changed = [file for key, file in sorted(wanted.items()) if key not in unchanged]
    sent: list[int] = []
    if changed or stale or manifest.pending or manifest.files.keys() != wanted.keys():
        sync = _Sync(check.root, store, prefix, there, unchanged)
        sent = sync.upload(changed, stale, workers, progress)
        delete_objects(store, [f"{prefix}/{key}" for key in stale])
        sync.finish()
    return SyncResult(
        prefix=prefix,
        uploaded=len(sent),
        skipped=len(wanted) - len(sent),
        removed=len(stale),
        seconds=time.monotonic() - started,
    )


def _look(
    store: ObjectStore, prefix: str, keys: Iterable[str]
) -> tuple[Manifest, dict[str, Listed]]:
    """Return the manifest below a prefix, and what else lies there; ``keys`` are expected."""
    with ThreadPoolExecutor(1, thread_name_prefix="manifest") as pool:
        reading = pool.submit(read_manifest, store, prefix)
        there = list_objects(store, prefix, [MANIFEST, *keys])
    there.pop(MANIFEST, None)
    return reading.result(), there


def _unchanged(
    wanted: dict[str, DataFile], manifest: Manifest, there: dict[str, Listed]
) -> dict[str, Entry]:
    """Return what the manifest says of the files that need not be sent again."""
    return {
        key: manifest.files[key]
        for key, file in wanted.items()
        if key in there and _is_unchanged(file, manifest.files.get(key), there[key])
    }


class _Sync:
    """One run of changes to a prefix; ``done`` are the objects known to hold what they should."""

    def __init__(
        self,
        root: Path,
        store: ObjectStore,
        prefix: str,
        there: dict[str, Listed],
        done: dict[str, Entry],
    ) -> None:
        self._root = root
        self._store = store
        self._prefix = prefix
        self._there = there
        self._done = done

    def upload(
        self,
        files: Sequence[DataFile],
        stale: Sequence[str],
        workers: int,
        progress: Callable[[Moved], None] | None,
    ) -> list[int]:
        """Bring files to the bucket; return the sizes of those that were not there already."""
        pending = {*stale, *(file.key for file in files)}
        self._write_manifest(pending)
        meter = Meter(len(files), sum(file.size for file in files), progress)
        sent: list[int] = []
        written = time.monotonic()
        at_a_time = uploads_at_a_time(answer_seconds(self._store, f"{self._prefix}/{MANIFEST}"))
        for file, (tag, is_new) in transfer(
            files, self._send, lambda file: file.size, most=min(at_a_time, workers)
        ):
            self._done[file.key] = Entry(size=file.size, sha256=file.sha256, tag=tag)
            pending.discard(file.key)
            if is_new:
                sent.append(file.size)
            if time.monotonic() - written >= CHECKPOINT_SECONDS:
                self._write_manifest(pending)
                written = time.monotonic()
            meter.add(file.size)
        return sent

    def finish(self) -> None:
        """Compare with the bucket and write the manifest of a complete data set.

        A tag that is an MD5 was compared already, with its listing or when its object was put.
        """
        if not all(is_md5(entry.tag) for entry in self._done.values()):
            self._compare()
        self._write_manifest(set())

    def _compare(self) -> None:
        there = list_objects(self._store, self._prefix, [MANIFEST, *self._done])
        wrong = [key for key, entry in self._done.items() if not _holds(there.get(key), entry)]
        if wrong:
            raise StoreFailed(
                f"{len(wrong)} objects below '{self._prefix}' are missing or differ from what "
                f"was written: {some(wrong)}. Is another sync running? Run again."
            )
        # A store may tag an object once it is written otherwise than in its answer.
        self._done = {key: replace(entry, tag=there[key].tag) for key, entry in self._done.items()}

    def _send(self, file: DataFile) -> tuple[str | None, bool]:
        """Return the tag of the file's object, and whether it had to be written."""
        data = self._read(file)
        there = self._there.get(file.key)
        if there and there.size == file.size and matches(there.tag, data):
            return there.tag, False
        return put_checked(self._store, f"{self._prefix}/{file.key}", data), True

    def _read(self, file: DataFile) -> bytes:
        try:
            data = _content(file.content(self._root), file.size)
        except OSError as error:
            raise DataError(
                f"'{shown(file.path)}' could be read during the check, but not now: "
                f"{ended(error.strerror or error)} Run again."
            ) from error
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise DataError(f"'{shown(file.path)}' changed since it was checked. Run again.")
        return data

    def _write_manifest(self, pending: set[str]) -> None:
        manifest = Manifest(
            files=self._done, pending=frozenset(pending), origin=origin_of(self._root)
        )
        write_manifest(self._store, self._prefix, manifest)


def _content(path: Path, size: int) -> bytes:
    """Return a file's bytes, up to one more than ``size``.

    In three calls of the system: Path.read_bytes has eight, and after each a thread waits its turn.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, size + 1)
    finally:
        os.close(file)


def _wanted(check: DataFiles) -> dict[str, DataFile]:
    wanted = {file.key: file for file in check.files}
    if len(wanted) != len(check.files):
        twice = [file.path for file in check.files if wanted[file.key] is not file]
        raise DataError(f"Several files would get the same object key: rename {some(twice)}.")
    return wanted


def _is_unchanged(file: DataFile, entry: Entry | None, there: Listed) -> bool:
    """Tell whether the object was put with this content, and is still the one that was put."""
    if entry is None or (entry.size, entry.sha256) != (file.size, file.sha256):
        return False
    return there.size == file.size and (None in (entry.tag, there.tag) or entry.tag == there.tag)


def _holds(there: Listed | None, entry: Entry) -> bool:
    if there is None or there.size != entry.size:
        return False
    return not (is_md5(there.tag) and is_md5(entry.tag)) or there.tag == entry.tag
