"""Bring a checked data set into the bucket, moving only what changed.

Channels are key prefixes, so the objects below ``<prefix>/{train,valid,test}/`` must be the data
set and nothing else. ``<prefix>/manifest.json`` says which objects are ours and what they hold:
``{"version": 1, "files": {key: {"size", "sha256"}}, "pending": [key, ...]}``. It is written before
the first change (what is about to change moves to ``pending``), again and again on the way, and
at the end; so a sync that is killed anywhere is resumed by the next one.

Objects of files that left the data set are deleted, but only if the manifest lists them: an
object that we did not put is never deleted or trained on, it is an error. One data set has one
writer at a time, and a job that is still reading a data set keeps nobody from changing it: give
a changed data set another name to have both.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platforms.errors import DataError
from tasks.data_check import DataCheck
from tasks.data_files import DataFile
from tasks.data_findings import shown, some
from tasks.objects import (
    StoreFailed,
    delete_objects,
    list_sizes,
    put_object,
    read_if_there,
)

MANIFEST = "manifest.json"
VERSION = 1
CHECKPOINT_EVERY = 500

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """What a sync did.

    Attributes:
        prefix: key prefix of the data set; its channels are ``<prefix>/<split>/``.
        uploaded: objects written.
        skipped: objects that were there already, with this content.
        removed: objects deleted because their files left the data set.
        bytes_uploaded: bytes written.
        seconds: wall time.
    """

    prefix: str
    uploaded: int
    skipped: int
    removed: int
    bytes_uploaded: int
    seconds: float


def sync_data(
    check: DataCheck,
    store: Any,
    prefix: str,
    *,
    progress: Progress | None = None,
    workers: int = 16,
) -> SyncResult:
    """Make the objects below ``prefix`` the data set of ``check``.

    Unchanged data costs one read and one listing and moves nothing. Content counts, not times: a
    changed file of the same size is found. Every file is hashed as it is sent; afterwards the
    sizes in the bucket are compared.

    Args:
        check: the data set; its files are read from ``check.root``.
        store: obstore store of the bucket.
        prefix: key prefix without a slash at its end.
        progress: called with (files sent, files to send) from the caller's thread.
        workers: uploads at a time.

    Raises:
        DataError: a file changed since the check, or the prefix holds another data set or
            objects that are not ours; in the latter two cases nothing was changed.
        StoreFailed: the bucket cannot be read or written.
    """
    started = time.monotonic()
    wanted = _wanted(check)
    manifest = _read_manifest(store, prefix)
    there = list_sizes(store, prefix)
    there.pop(MANIFEST, None)
    _refuse_strangers(wanted, manifest, there, prefix)
    unchanged = {
        key
        for key, file in wanted.items()
        if manifest.files.get(key) == _entry(file) and there.get(key) == file.size
    }
    changed = [file for key, file in sorted(wanted.items()) if key not in unchanged]
    stale = sorted(there.keys() - wanted.keys())
    if changed or stale or manifest.pending or manifest.files.keys() != wanted.keys():
        sync = _Sync(check.root, store, prefix, {key: wanted[key] for key in unchanged})
        sync.upload(changed, stale, workers, progress)
        delete_objects(store, [f"{prefix}/{key}" for key in stale])
        sync.finish(wanted)
    return SyncResult(
        prefix=prefix,
        uploaded=len(changed),
        skipped=len(unchanged),
        removed=len(stale),
        bytes_uploaded=sum(file.size for file in changed),
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest:
    files: dict[str, Any]
    pending: frozenset[str]


class _Sync:
    """One run of changes to a prefix; ``done`` are the objects known to hold what they should."""

    def __init__(self, root: Path, store: Any, prefix: str, done: dict[str, DataFile]) -> None:
        self._root = root
        self._store = store
        self._prefix = prefix
        self._done = done

    def upload(
        self,
        files: Sequence[DataFile],
        stale: Sequence[str],
        workers: int,
        progress: Progress | None,
    ) -> None:
        pending = {*stale, *(file.key for file in files)}
        self._write_manifest(pending)
        pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="sync")
        try:
            sent = {pool.submit(self._send, file): file for file in files}
            for count, future in enumerate(as_completed(sent), 1):
                self._note(future, sent[future], pending)
                if count % CHECKPOINT_EVERY == 0:
                    self._write_manifest(pending)
                if progress:
                    progress(count, len(files))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def finish(self, wanted: dict[str, DataFile]) -> None:
        """Compare sizes in the bucket and write the manifest of a complete data set."""
        there = list_sizes(self._store, self._prefix)
        wrong = [key for key, file in wanted.items() if there.get(key) != file.size]
        if wrong:
            raise StoreFailed(
                f"{len(wrong)} objects below '{self._prefix}' are not there or have another size "
                f"than was written: {some(wrong)}. Is another sync running? Run again."
            )
        self._write_manifest(set())

    def _note(self, future: Future[None], file: DataFile, pending: set[str]) -> None:
        future.result()
        self._done[file.key] = file
        pending.discard(file.key)

    def _send(self, file: DataFile) -> None:
        path = self._root / file.path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(
                f"'{shown(file.path)}' could be read when it was checked, but not now: "
                f"{error.strerror}. Run again."
            ) from error
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise DataError(f"'{shown(file.path)}' changed since it was checked. Run again.")
        put_object(self._store, f"{self._prefix}/{file.key}", data)

    def _write_manifest(self, pending: set[str]) -> None:
        value = {
            "version": VERSION,
            "files": {key: _entry(file) for key, file in sorted(self._done.items())},
            "pending": sorted(pending),
        }
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        put_object(self._store, f"{self._prefix}/{MANIFEST}", text.encode())


def _wanted(check: DataCheck) -> dict[str, DataFile]:
    wanted = {file.key: file for file in check.files}
    if len(wanted) != len(check.files):
        twice = [file.path for file in check.files if wanted[file.key] is not file]
        raise DataError(f"Two files would get one object key: rename {some(twice)}.")
    return wanted


def _entry(file: DataFile) -> dict[str, Any]:
    return {"size": file.size, "sha256": file.sha256}


def _read_manifest(store: Any, prefix: str) -> _Manifest:
    data = read_if_there(store, f"{prefix}/{MANIFEST}")
    if data is None:
        return _Manifest(files={}, pending=frozenset())
    try:
        value = json.loads(data)
        if value["version"] != VERSION:
            raise ValueError(f"version {value['version']!r}")
        return _Manifest(files=dict(value["files"]), pending=frozenset(value["pending"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"'{prefix}/{MANIFEST}' is not a manifest of this program ({error}): delete the "
            "objects below this prefix, or give the data set another name."
        ) from error


def _refuse_strangers(
    wanted: dict[str, DataFile], manifest: _Manifest, there: dict[str, int], prefix: str
) -> None:
    """Stop before the first change when the prefix is not ours to change."""
    ours = manifest.files.keys() | manifest.pending
    strangers = sorted(there.keys() - ours)
    if strangers:
        raise DataError(
            f"Below '{prefix}' are {len(strangers)} objects that no sync has put there "
            f"({some(strangers)}). Delete them, or give the data set another name."
        )
    contents = {file.sha256 for file in wanted.values()}
    known = {entry["sha256"] for entry in manifest.files.values()}
    if manifest.files and not (contents & known or wanted.keys() & manifest.files.keys()):
        raise DataError(
            f"Below '{prefix}' is another data set: {len(manifest.files)} files, none of them in "
            "this one. Give this data set another name, or delete those objects."
        )
