"""Receive objects into a folder: verified before they get their name, resumed when cut off.

A small object is verified in memory, written beside its final place under a hidden name, and
renamed. (Beside it, because one common folder is one lock for all writers: on ext4, 48 writers of
8,000 files took twice the processor time.) What was received of a large object is kept in a folder
of its own: after a broken connection, or a kill, only the rest is requested. Files are not flushed
to the disk one by one, which would take longer than the transfer: after a power failure the next
run finds and replaces what was lost.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from platforms.errors import DataError, some
from sm_entrypoints.contract.kill_points import label_of, reach
from tasks.storage.objects import ATTEMPTS, FINAL, StoreFailed, pauses
from tasks.storage.sync_progress import Meter, Moved
from tasks.storage.transfers import transfer

# Hidden names begin with this: of unfinished small files, and of the folder of unfinished large.
UNFINISHED = ".whippet-part"
PARTS = f"{UNFINISHED}s"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An object to receive as a file.

    Attributes:
        name: key below the prefix, and path below the folder. size: bytes. version: differs if the
        content differs: a partial file of another version is not continued. digest: of a file that
        need not be received again; None if unknown. is_right: tells by its digest whether what
        arrived may become the file.
    """

    name: str
    size: int
    version: str
    digest: str | None
    is_right: Callable[[str], bool]


class Receiver:
    """Receives objects below a prefix into a folder; safe to use from several threads.

    Digests are by ``algorithm``, as ``hashlib`` names it.
    """

    def __init__(self, store: ObjectStore, prefix: str, folder: Path, algorithm: str) -> None:
        """Say where from and where to; nothing is read or written yet."""
        self._store, self._prefix, self._folder = store, prefix, folder
        self._digest = partial(hashlib.new, algorithm, usedforsecurity=False)

    def receive_all(
        self, files: Sequence[Wanted], progress: Callable[[Moved], None] | None, workers: int
    ) -> FetchResult:
        """Make every object a file, several at a time; remove what was left half-received.

        Args:
            files: begun in this order.
            progress: called after each, from the caller's thread.
            workers: at a time, at most.

        Raises:
            DataError: a name leads out of the folder. Nothing was written then.
            StoreFailed: as :meth:`receive`; what has arrived stays.
        """
        _refuse_escapes([file.name for file in files])
        started = time.monotonic()
        meter = Meter(len(files), sum(file.size for file in files), progress)
        received = []
        for file, is_new in transfer(files, self.receive, lambda _: _WHOLE, most=workers):
            if is_new:
                received.append(file.size)
            meter.add(file.size)
        self._tidy(files)
        return FetchResult(
            fetched=len(received),
            skipped=len(files) - len(received),
            bytes_fetched=sum(received),
            seconds=time.monotonic() - started,
        )

    def receive(self, wanted: Wanted) -> bool:
        """Make the object a file: complete and verified, or else the previous file.

        Returns:
            Whether it had to be received.

        Raises:
            StoreFailed: it cannot be read, or arrived corrupted each time.
        """
        if self._is_there(wanted):
            return False
        key, failure = f"{self._prefix}/{wanted.name}", "it has different bytes than expected"
        act = self._whole if wanted.size <= _WHOLE else self._rest
        for pause in pauses():
            time.sleep(pause)
            try:
                if act(key, wanted):
                    return True
            except FINAL as error:
                raise StoreFailed(f"Could not read '{key}': {error}") from error
            except (BaseError, OSError) as error:
                failure = str(error).partition("\n\nDebug source")[0]
        raise StoreFailed(f"Could not read '{key}' in {ATTEMPTS} attempts: {failure}")

    def _is_there(self, wanted: Wanted) -> bool:
        path = self._folder / wanted.name
        try:
            if wanted.digest is None or path.stat().st_size != wanted.size:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, self._digest).hexdigest() == wanted.digest
        except OSError:
            return False

    def _tidy(self, files: Sequence[Wanted]) -> None:
        shutil.rmtree(self._folder / PARTS, ignore_errors=True)
        for folder in {(self._folder / file.name).parent for file in files}:
            for path in folder.glob(f"{UNFINISHED}-*"):
                path.unlink(missing_ok=True)

    def _whole(self, key: str, wanted: Wanted) -> bool:
        """Receive all of an object at once; tell whether it is what it should be."""
        content = obstore.get(self._store, key).bytes()
        if len(content) != wanted.size or not wanted.is_right(self._digest(content).hexdigest()):
            return False
        target = self._folder / wanted.name
        part = target.with_name(f"{UNFINISHED}-{_mark(wanted)}")
        try:
            _write(part, content)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(part, content)
        reach(f"receive {label_of(target)}")
        part.replace(target)
        return True

    def _rest(self, key: str, wanted: Wanted) -> bool:
        """Receive what is missing of an object; tell whether all of it is what it should be."""
        part, target = self._folder / PARTS / _mark(wanted), self._folder / wanted.name
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("a+b") as file:
            file.seek(0)
            digest = hashlib.file_digest(file, self._digest)
            there = file.tell()
            if there < wanted.size:
                options = {"range": {"offset": there}} if there else None
                answer = obstore.get(self._store, key, options=options)  # type: ignore[arg-type]
                for chunk in answer.stream(min_chunk_size=_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
            size = file.tell()
        if size == wanted.size and wanted.is_right(digest.hexdigest()):
            target.parent.mkdir(parents=True, exist_ok=True)
            reach(f"receive {label_of(target)}")
            part.replace(target)
            return True
        part.unlink(missing_ok=True)
        return False


def _write(path: Path, content: obstore.Bytes) -> None:
    """Write a file in three calls of the system: Path.write_bytes has seven, each a wait for us."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def _mark(wanted: Wanted) -> str:
    return hashlib.sha256(f"{wanted.name} {wanted.version}".encode()).hexdigest()


def _refuse_escapes(keys: list[str]) -> None:
    """Stop when a key would be written outside of the folder, or over what is not data.

    Raises:
        DataError: names the keys.
    """
    bad = [
        key
        for key in keys
        if key.startswith("/")
        or {"", ".", ".."} & set(parts := key.split("/"))
        or any(part.startswith(UNFINISHED) for part in parts)
        or PurePosixPath(key).name == MANIFEST
    ]
    if bad:
        raise DataError(f"{len(bad)} keys are not valid file names: {some(bad)}")


MANIFEST = "manifest.json"
