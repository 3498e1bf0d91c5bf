"""The checked files of a data set, and the object keys that they get."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

# What obstore (and S3's XML) cannot hold in a key: control characters, bytes that are not UTF-8.
_UNSAFE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

# S3's keys have 1,024 bytes at most, and there is a prefix before ours; a file system's names have
# 255, of which a store in a folder needs some for itself.
_LONGEST_KEY = 800
_LONGEST_PART = 240
_LONGEST_SUFFIX = 12
_KEPT = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A checked image.

    Attributes:
        path: relative to the data folder, with ``/``.
        split: channel that it belongs to, whether by its folder or by our split.
        label: its class.
        name: path below its class folder.
        size: bytes.
        sha256: hexadecimal digest of its bytes.
        width: pixels as stored.
        height: pixels as stored.
        converted: the file with the bytes that size and digest tell of, if not the one at ``path``.
    """

    path: str
    split: str
    label: str
    name: str
    size: int
    sha256: str
    width: int
    height: int
    converted: str | None = None

    def content(self, root: Path) -> Path:
        """Return the file whose bytes are uploaded."""
        return Path(self.converted) if self.converted else root / self.path

    @property
    def key(self) -> str:
        """Object key below the data set's prefix: ``<split>/<class>/<name>``."""
        suffix = Path(self.converted).suffix if self.converted else ""
        return object_name(f"{self.split}/{self.label}/{self.name}{suffix}")


class DataFiles(Protocol):
    """The files of a data set, and the folder that their paths start from."""

    @property
    def root(self) -> Path: ...

    @property
    def files(self) -> tuple[DataFile, ...]: ...


def object_name(path: str) -> str:
    """Return a path as an object key: the same, but for parts that no key can hold.

    Such a part (it has control characters or is not UTF-8) is percent-encoded as a whole. What is
    longer than stores take is cut, with a digest that keeps it apart from others.
    """
    first, *rest = [_part(part) for part in path.split("/")]
    key = "/".join([first, *rest])
    if len(key.encode()) <= _LONGEST_KEY:
        return key
    return "/".join([first, *rest[:1], _cut(key, rest[-1])])


def _part(part: str) -> str:
    name = quote(os.fsencode(part), safe=" ") if _UNSAFE.search(part) else part
    return name if len(name.encode()) <= _LONGEST_PART else _cut(name, name)


def _cut(name: str, last: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    suffix = Path(last).suffix
    suffix = suffix if len(suffix.encode()) <= _LONGEST_SUFFIX else ""
    kept = last.removesuffix(suffix).encode()[:_KEPT].decode(errors="ignore")
    return f"{kept}-{digest}{suffix}"
