"""The pictures of a folder, and their upload to the bucket."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path

from obstore.store import ObjectStore

from platforms.errors import DataError
from tasks.storage.listing import list_objects
from tasks.storage.objects import put_checked

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
# One request of a transform job carries at most this much (MaxPayloadInMB).
MOST_MEGABYTES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A JPEG or PNG file below the folder.

    Attributes:
        name: its path below the folder, with ``/``: the key in the bucket, and the row's name.
        digest: SHA-256 of its bytes, in hex.
    """

    path: Path
    name: str
    size: int
    digest: str
    is_png: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The pictures of a folder, by name, and how many other files lie beside them."""

    found: tuple[Picture, ...]
    others: int

    @property
    def digest(self) -> str:
        """SHA-256 of all names and contents."""
        whole = sha256()
        for each in self.found:
            whole.update(f"{each.name}\0{each.digest}\0".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()

    @property
    def content_type(self) -> str:
        """What a request says that it sends; a job says it once for all its pictures."""
        return "image/png" if all(each.is_png for each in self.found) else "image/jpeg"

    @property
    def megabytes(self) -> int:
        """The least ``MaxPayloadInMB`` that the largest picture fits into, and at least 6."""
        return max(6, -(-max(each.size for each in self.found) // 1024**2))


def find_pictures(folder: Path, typed: str | None = None) -> Pictures:
    """Return the JPEG and PNG files below a folder: recognised by content, not by name. Hidden
    files and folders are skipped. Links to files count, links to folders do not. ``typed`` is how
    the folder is named.

    Raises:
        DataError: no such folder, no picture in it, a name that no bucket takes, a file that
            cannot be read or one that no request can carry.
    """
    place = typed or str(folder)
    if not folder.is_dir():
        kind = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"the folder of pictures {place!r} {kind}")
    pictures, others = [], 0
    for path in _visible_files(folder):
        picture = _picture(path, path.relative_to(folder).as_posix())
        if picture is None:
            others += 1
        else:
            pictures.append(picture)
    if not pictures:
        beside = f" ({others} other files)" if others else ""
        raise DataError(f"there is no JPEG or PNG picture in {place!r}{beside}")
    return Pictures(found=tuple(pictures), others=others)


def upload(pictures: Pictures, store: ObjectStore, prefix: str) -> int:
    """Make the objects below ``prefix`` the pictures; return how many were sent.

    The prefix belongs to exactly these pictures (its name holds their digest), so existing objects
    of the right size were sent before.

    Raises:
        DataError: a file changed since it was examined. StoreFailed: the bucket cannot be read or
        written.
    """
    there = list_objects(store, prefix, [each.name for each in pictures.found])
    sent = 0
    for each in pictures.found:
        listed = there.get(each.name)
        if listed is not None and listed.size == each.size:
            continue
        body = each.path.read_bytes()
        if sha256(body).hexdigest() != each.digest:
            raise DataError(f"{str(each.path)!r} changed while it was being read: run again")
        put_checked(store, f"{prefix}/{each.name}", body)
        sent += 1
    return sent


def _visible_files(folder: Path) -> list[Path]:
    files = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and path.is_file():
                files.append(path)
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def _picture(path: Path, name: str) -> Picture | None:
    try:
        with path.open("rb") as file:
            head = file.read(len(PNG))
            if not head.startswith((PNG, JPEG)):
                return None
            file.seek(0)
            digest = file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if not name.isprintable() or "\\" in name:
        raise DataError(f"{name!r} cannot be the name of an object in a bucket: rename the file")
    if size > MOST_MEGABYTES * 1024**2:
        raise DataError(
            f"{str(path)!r} has {size} bytes; a transform job takes pictures of at most "
            f"{MOST_MEGABYTES} MB"
        )
    return Picture(path=path, name=name, size=size, digest=digest, is_png=head == PNG)
