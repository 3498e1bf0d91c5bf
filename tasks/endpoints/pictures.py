"""The pictures that an endpoint is asked about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from platforms.errors import DataError
from sm_entrypoints.images.files import READ_KINDS, READ_SUFFIXES, is_system_name, kind_of_file


def pictures(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the paths that were given, and in place of a folder the pictures below it.

    Raises:
        DataError: a folder without any.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        below = _below(path)
        if not below:
            raise DataError(f"there is no JPEG or PNG picture below {str(path)!r}")
        yield from below


def _below(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if not any(is_system_name(part) for part in path.relative_to(folder).parts)
        and _is_picture(path)
    )


def _is_picture(path: Path) -> bool:
    """Tell by the name, so that a broken picture is reported, else by the first bytes."""
    if not path.is_file():
        return False
    if path.suffix.lower() in READ_SUFFIXES:
        return True
    try:
        return kind_of_file(path) in READ_KINDS
    except OSError:
        return False
