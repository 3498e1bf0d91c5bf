"""Records of local resources: one folder and one JSON file each, shared by all processes.

A record is ``<root>/<kind>/<name>/record.json``. Guarantees, which hold when a process is killed at
any instruction: a record is complete or does not exist; of two creators of one name exactly one
wins; updates of one record never overlap; a deleted name can be created again at once.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from platforms.errors import WhippetError
from platforms.files import write_atomically
from platforms.local.copies import remove_tree
from platforms.locks import held
from platforms.privacy import make_home
from sm_entrypoints.contract.kill_points import reach

Kind = Literal[
    "training-jobs", "tuning-jobs", "transform-jobs", "models", "endpoint-configs", "endpoints"
]
Record = dict[str, Any]

RECORD_FILE = "record.json"
_LOCK_FILE = ".lock"
_STALE_SECONDS = 3600.0

# Maps whose keys are the user's: a hyperparameter called "StartTime" is not a time.
_FREE_MAPS = frozenset(
    {
        "CollectionParameters",
        "Environment",
        "HookParameters",
        "HyperParameters",
        "ProfilingParameters",
        "RuleParameters",
        "StaticHyperParameters",
        "TunedHyperParameters",
    }
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00")


class Missing(WhippetError):
    """Raised when there is no record of that kind and name."""


class Exists(WhippetError):
    """Raised when a record of that kind and name is there already."""


def now() -> str:
    """Return the present time as a record stores it: ISO-8601, UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def with_times(value: Any) -> Any:
    """Return a copy of a stored value with its times as aware datetimes.

    A time is an ISO-8601 UTC string under a key that ends in ``Time`` or is ``Timestamp``,
    outside the maps whose keys are the user's (``HyperParameters``, ``Environment``, ...).
    """
    if isinstance(value, list):
        return [with_times(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _member(key, item) for key, item in value.items()}


def _member(key: str, value: Any) -> Any:
    if key in _FREE_MAPS:
        return value
    is_time = key.endswith("Time") or key == "Timestamp"
    if is_time and isinstance(value, str) and _TIME.fullmatch(value):
        return datetime.fromisoformat(value)
    return with_times(value)


class Records:
    """The records under one root folder. Holds no state: any number may exist, anywhere."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, kind: Kind, name: str) -> Path:
        """Return the folder of a record, there or not; its other files belong to its kind.

        Raises:
            ValueError: ``name`` cannot be the name of a folder of its own.
        """
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise ValueError(f"{name!r} cannot be the name of a record")
        return self.root / kind / name

    def create(self, kind: Kind, name: str, record: Record) -> None:
        """Store a new record, complete, in a new folder.

        Raises:
            Exists: the name is taken, perhaps by a racer a moment ago.
        """
        final = self.folder(kind, name)
        make_home(self.root)
        final.parent.mkdir(parents=True, exist_ok=True)
        self._sweep(kind)
        new = final.parent / f".new-{secrets.token_hex(8)}"
        new.mkdir()
        try:
            write_json(new / RECORD_FILE, record)
            reach(f"{kind}: create")
            _put(new, final)
        except FileExistsError as error:
            raise Exists(f"{kind}/{name} exists already in {self.root}") from error
        finally:
            shutil.rmtree(new, ignore_errors=True)
        reach(f"{kind}: created")
        _sync_folder(final.parent)

    def read(self, kind: Kind, name: str) -> Record:
        """Return a record as stored; see :func:`with_times`.

        Raises:
            Missing: there is none.
        """
        try:
            record: Record = json.loads((self.folder(kind, name) / RECORD_FILE).read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Missing(f"{kind}/{name} does not exist in {self.root}") from error
        return record

    def find(self, kind: Kind, name: str) -> Record | None:
        """Return a record as stored, or None if there is none."""
        try:
            return self.read(kind, name)
        except Missing:
            return None

    def update(self, kind: Kind, name: str, change: Callable[[Record], Record]) -> Record:
        """Replace a record by ``change`` of it, and return the new one.

        ``change`` sees the newest record; no other update happens meanwhile. An exception from it
        propagates and leaves the record unchanged. It must not update the same record.

        Raises:
            Missing: there is no such record.
        """
        folder = self.folder(kind, name)
        with self._locked(kind, name):
            record = change(self.read(kind, name))
            reach(f"{kind}: update to {_stage(record)}")
            write_json(folder / RECORD_FILE, record)
            reach(f"{kind}: updated to {_stage(record)}")
        return record

    def delete(self, kind: Kind, name: str) -> None:
        """Remove a record and its folder; the name is free when this returns.

        Raises:
            Missing: there is none.
        """
        folder = self.folder(kind, name)
        gone = folder.parent / f".deleted-{secrets.token_hex(8)}"
        with self._locked(kind, name):
            reach(f"{kind}: delete")
            folder.rename(gone)
            reach(f"{kind}: deleted")
        remove_tree(gone)

    def list(self, kind: Kind) -> list[Record]:
        """Return all records of a kind, by name."""
        found = (self.find(kind, name) for name in self.names(kind))
        return [record for record in found if record is not None]  # None: deleted meanwhile.

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of all records of a kind, sorted."""
        folder = self.root / kind
        if not folder.is_dir():
            return ()
        names = (entry.name for entry in folder.iterdir() if (entry / RECORD_FILE).is_file())
        return tuple(sorted(name for name in names if not name.startswith(".")))

    @contextmanager
    def _locked(self, kind: Kind, name: str) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                stack.enter_context(held(self.folder(kind, name) / _LOCK_FILE))
            except (FileNotFoundError, NotADirectoryError) as error:
                raise Missing(f"{kind}/{name} does not exist in {self.root}") from error
            yield

    def _sweep(self, kind: Kind) -> None:
        """Remove what killed creators and deleters left behind, once it is surely theirs."""
        for entry in (self.root / kind).glob(".*-*"):
            try:
                stale = time.time() - entry.stat().st_mtime > _STALE_SECONDS
            except FileNotFoundError:
                continue
            if stale:
                shutil.rmtree(entry, ignore_errors=True)


def _put(new: Path, final: Path) -> None:
    """Move a folder to where none is; again while one that was there is just being deleted.

    Raises:
        FileExistsError: there is one.
    """
    while True:
        try:
            # A folder only replaces an empty one; an existing record's folder never is.
            new.rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            if final.exists():
                raise FileExistsError(error.errno, "exists already", str(final)) from error
        else:
            return


def _stage(record: Record) -> str:
    """Return what a record says that it is at: its most exact status."""
    named = (
        "SecondaryStatus",
        "EndpointStatus",
        "HyperParameterTuningJobStatus",
        "TransformJobStatus",
    )
    return next((str(record[each]) for each in named if each in record), "a change")


def write_json(path: Path, value: Any) -> None:
    """Replace a file, in a folder that is there, by ``value`` as JSON, atomically and durably."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    write_atomically(path, text.encode(), make_folder=False)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
