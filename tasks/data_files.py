"""The checked files of a data set, and the object keys that they get."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

# What obstore (and S3's XML) cannot hold in a key: control characters, bytes that are not UTF-8.
_UNSAFE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


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
    """

    path: str
    split: str
    label: str
    name: str
    size: int
    sha256: str
    width: int
    height: int

    @property
    def key(self) -> str:
        """Object key below the data set's prefix: ``<split>/<class>/<name>``."""
        return object_name(f"{self.split}/{self.label}/{self.name}")


class DataFiles(Protocol):
    """The files of a data set, and the folder that their paths start from."""

    @property
    def root(self) -> Path: ...

    @property
    def files(self) -> tuple[DataFile, ...]: ...


def object_name(path: str) -> str:
    """Return a path as an object key: the same, but for parts that no key can hold.

    Such a part (it has control characters or is not UTF-8) is percent-encoded as a whole.
    """
    return "/".join(
        quote(os.fsencode(part), safe=" ") if _UNSAFE.search(part) else part
        for part in path.split("/")
    )
