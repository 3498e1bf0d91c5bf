"""Files that are either the old one or the new one, never half of one, on both sides."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sm_entrypoints.contract.kill_points import label_of, reach

_STAGED = re.compile(r"\..*#[0-9]{9,}", re.DOTALL)


def staged(path: Path) -> Path:
    """Return where to write a file before it is moved to ``path``: beside it, and hidden.

    obstore's LocalStore does not list names that end in ``#<digits>``: its own staging files.
    """
    return path.with_name(f".{path.name[:40]}#{os.getpid()}{secrets.randbelow(10**9):09d}")


def is_staged(path: Path) -> bool:
    """Say whether a file is one that :func:`staged` names: half written, or left by a kill."""
    return _STAGED.fullmatch(path.name) is not None


def clear_staged(folder: Path) -> None:
    """Remove what killed processes left half written below a folder in which nobody writes now."""
    for path in [each for each in folder.rglob(".*#*") if is_staged(each)]:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, which takes the place of ``path`` when the block ends well.

    A reader or a crash sees the old content or the new one. When the block raises, ``path`` stays
    as it was and nothing is left beside it.
    """
    fresh = staged(path)
    try:
        yield fresh
        reach(f"write {label_of(path)}")
        fresh.replace(path)
        reach(f"wrote {label_of(path)}")
    finally:
        fresh.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` with ``text``, see :func:`replacing`; its folder is there."""
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


def write_json(
    path: Path, document: object, *, indent: int | None = 2, escape: bool = True
) -> None:
    """Replace ``path`` with a document, as ASCII alone or not: see :func:`write_text`."""
    write_text(path, json.dumps(document, indent=indent, ensure_ascii=escape) + "\n")


def write_atomically(
    path: Path, data: bytes, *, mode: int | None = None, make_folder: bool = True
) -> None:
    """Replace ``path`` with ``data``, see :func:`replacing`; after a loss of power, too.

    At no time do more people than ``mode`` allows have access to the new content; without one, it
    is the umask that says so.

    Raises:
        FileNotFoundError: its folder is not there, and ``make_folder`` is False.
    """
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = os.open(fresh, flags, 0o666 if mode is None else 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                os.fchmod(descriptor, mode)  # whatever the umask
            file.write(data)
            file.flush()
            os.fsync(descriptor)
