"""The manifest of a data set in a bucket: which objects are ours, and their contents.

``<prefix>/manifest.json`` is ``{"version": 1, "files": {key: {"size", "sha256", "tag"}}, "pending":
[key, ...], "origin": text}``, keys without the prefix. ``pending`` are objects about to change.
``tag`` is the object's ETag when it was put, or null: an object with another tag was overwritten.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from obstore.store import ObjectStore

from platforms.errors import DataError
from sm_entrypoints.contract.sentences import clause
from tasks.dataset.identity import fingerprint_of
from tasks.storage.objects import put_checked, read_if_there
from tasks.storage.receive import MANIFEST

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an object holds: bytes, hexadecimal digest, and the tag it got (None: not known)."""

    size: int
    sha256: str
    tag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Objects of a data set: ``files`` are known to hold what they should, by key.

    ``origin`` says where the files were when they were brought; empty: not known.
    """

    files: dict[str, Entry]
    pending: frozenset[str]
    origin: str = ""

    @property
    def fingerprint(self) -> str:
        """What tells this data set from every other: see :mod:`tasks.dataset.identity`."""
        return fingerprint_of({key: entry.sha256 for key, entry in self.files.items()})


def read_manifest(store: ObjectStore, prefix: str) -> Manifest:
    """Return the manifest below a prefix; without one, an empty manifest.

    Raises:
        DataError: it is not of this program.
        StoreFailed: it cannot be read.
    """
    data = read_if_there(store, f"{prefix}/{MANIFEST}")
    if data is None:
        return Manifest(files={}, pending=frozenset())
    try:
        value = json.loads(data)
        if value["version"] != VERSION:
            raise ValueError(f"version {value['version']!r}")
        return Manifest(
            files={key: Entry(**entry) for key, entry in value["files"].items()},
            pending=frozenset(value["pending"]),
            origin=str(value.get("origin", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"'{prefix}/{MANIFEST}' is not a manifest of this program "
            f"({clause(error)}): delete the "
            "objects below this prefix, or give the data set another name."
        ) from error


def write_manifest(store: ObjectStore, prefix: str, manifest: Manifest) -> None:
    """Put the manifest: readers see this one or the one before.

    Raises:
        StoreFailed: it cannot be written.
    """
    files = {
        key: {"size": entry.size, "sha256": entry.sha256, "tag": entry.tag}
        for key, entry in sorted(manifest.files.items())
    }
    value = {
        "version": VERSION,
        "files": files,
        "pending": sorted(manifest.pending),
        "origin": manifest.origin,
    }
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    put_checked(store, f"{prefix}/{MANIFEST}", text.encode())
