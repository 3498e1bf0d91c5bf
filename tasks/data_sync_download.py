"""Bring a synced data set from the bucket to a folder: every file verified, none half there.

A file is received into a hidden folder beside the data, hashed on the way, and moved to its place
only when the hash is the manifest's. What was received of a large file is kept: after a broken
connection, or a kill, only the rest is asked for. Nothing is flushed to the disk file by file
(that would take longer than the transfer): after a power failure the next run finds and replaces
what was lost.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import obstore
from obstore.exceptions import BaseError

from platforms.errors import DataError
from tasks.data_findings import some
from tasks.data_sync_manifest import MANIFEST, Entry, read_manifest
from tasks.data_sync_pool import MOST_AT_A_TIME, transfer
from tasks.data_sync_progress import Meter, Moved
from tasks.objects import ATTEMPTS, FINAL, StoreFailed, pauses

PARTS = ".whippet-parts"
# What a broken connection can cost of a large file; smaller ones are received at once.
_CHUNK = 64 * 2**10
_WHOLE = 4 * _CHUNK


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    """What was fetched: files received, files that were there already, bytes, wall time."""

    fetched: int
    skipped: int
    bytes_fetched: int
    seconds: float


def fetch_data(
    store: Any,
    prefix: str,
    folder: Path,
    *,
    progress: Callable[[Moved], None] | None = None,
    workers: int = MOST_AT_A_TIME,
) -> FetchResult:
    """Make ``folder`` hold every file of the data set below ``prefix``; delete nothing.

    Files that are there are hashed, and received again only when they differ.

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
            f"Below '{prefix}' is no complete data set: sync it once more, to its end, then fetch."
        )
    refuse_escapes(list(manifest.files))
    files = sorted(manifest.files.items())
    fetch = _Fetch(store, prefix, folder)
    meter = Meter(len(files), sum(entry.size for _, entry in files), progress)
    received = []
    for (_, entry), is_new in transfer(files, fetch.one, lambda _: _WHOLE, most=workers):
        if is_new:
            received.append(entry.size)
        meter.add(entry.size)
    shutil.rmtree(folder / PARTS)
    return FetchResult(
        fetched=len(received),
        skipped=len(files) - len(received),
        bytes_fetched=sum(received),
        seconds=time.monotonic() - started,
    )


class _Fetch:
    """Receives single files of a data set into a folder."""

    def __init__(self, store: Any, prefix: str, folder: Path) -> None:
        self._store = store
        self._prefix = prefix
        self._folder = folder
        (folder / PARTS).mkdir(parents=True, exist_ok=True)

    def one(self, item: tuple[str, Entry]) -> bool:
        """Make one file what the manifest says; tell whether it had to be received."""
        name, entry = item
        target = self._folder / name
        if _holds(target, entry):
            return False
        # The content is in the name: what was received of another version is not gone on with.
        part = self._folder / PARTS / hashlib.sha256(f"{name} {entry.sha256}".encode()).hexdigest()
        key, failure = f"{self._prefix}/{name}", "it holds other bytes than its manifest says"
        for pause in pauses():
            time.sleep(pause)
            try:
                found = receive(self._store, key, entry.size, part)
            except FINAL as error:
                raise StoreFailed(f"Could not read '{key}': {error}") from error
            except (BaseError, OSError) as error:
                failure = str(error).partition("\n\nDebug source")[0]
                continue
            if found == entry.sha256:
                move(part, target)
                return True
            part.unlink(missing_ok=True)
        raise StoreFailed(f"Could not read '{key}' in {ATTEMPTS} attempts: {failure}")


def receive(store: Any, key: str, size: int, part: Path, algorithm: str = "sha256") -> str:
    """Write what is missing of an object to a file; return the digest of all that is there then.

    Args:
        store: obstore store of the bucket.
        key: the object's.
        size: its bytes.
        part: what arrived stays in it when the connection breaks.
        algorithm: of the digest, by its name in ``hashlib``.

    Raises:
        BaseError, OSError: the object cannot be read, or the connection broke.
    """
    if size <= _WHOLE and not part.exists():
        content = obstore.get(store, key).bytes()
        part.write_bytes(content)
        return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    with part.open("a+b") as file:
        file.seek(0)
        new = partial(hashlib.new, algorithm, usedforsecurity=False)
        digest = hashlib.file_digest(file, new)
        there = file.tell()
        if there < size:
            options = {"range": {"offset": there}} if there else None
            found = obstore.get(store, key, options=options)  # type: ignore[arg-type]
            for chunk in found.stream(min_chunk_size=_CHUNK):
                digest.update(chunk)
                file.write(chunk)
    return digest.hexdigest()


def move(part: Path, target: Path) -> None:
    """Put a complete file into its place; make the folder if it is not there."""
    try:
        part.replace(target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)


def _holds(path: Path, entry: Entry) -> bool:
    try:
        if path.stat().st_size != entry.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
    except OSError:
        return False


def refuse_escapes(keys: list[str]) -> None:
    """Stop when a key would be written outside of the folder, or over what is not data.

    Raises:
        DataError: names the keys.
    """
    bad = [
        key
        for key in keys
        if key.startswith("/")
        or {"", ".", "..", PARTS} & set(key.split("/"))
        or PurePosixPath(key).name == MANIFEST
    ]
    if bad:
        raise DataError(f"{len(bad)} keys are no file names: {some(bad)}")
