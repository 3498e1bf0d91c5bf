"""A folder and everything below it, each folder listed once: where are folders and pictures?"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from sm_entrypoints.images.files import (
    OTHER_SUFFIXES,
    READ_SUFFIXES,
    is_system_name,
    kind_of_file,
    may_be_picture,
)


@dataclass(frozen=True, slots=True)
class _Inside:
    folders: tuple[Path, ...]
    has_pictures: bool
    is_readable: bool = True


@dataclass
class Tree:
    """Answers from the names alone, where they say it; never raises for what it cannot read."""

    _seen: dict[Path, _Inside] = field(default_factory=dict)
    _full: dict[Path, bool] = field(default_factory=dict)

    def folders(self, folder: Path) -> tuple[Path, ...]:
        """Return the folders in a folder that are not a system's, by name."""
        return self._inside(folder).folders

    def full(self, folder: Path) -> list[Path]:
        """Return the folders in a folder with pictures anywhere below them, by name."""
        return [path for path in self.folders(folder) if self.is_full(path)]

    def has_pictures(self, folder: Path) -> bool:
        """Tell whether pictures lie right in a folder."""
        return self._inside(folder).has_pictures

    def is_full(self, folder: Path) -> bool:
        """Tell whether pictures lie in a folder or below; also if it cannot be read."""
        if folder not in self._full:
            self._full[folder] = self._search(folder)
        return self._full[folder]

    def _search(self, folder: Path) -> bool:
        seen: set[Path] = set()
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            try:
                target = current.resolve()
            except (OSError, RuntimeError):  # a ring of links
                continue
            if target in seen:
                continue
            seen.add(target)
            inside = self._inside(current)
            if inside.has_pictures or not inside.is_readable:
                return True
            waiting += reversed(inside.folders)
        return False

    def _inside(self, folder: Path) -> _Inside:
        if folder not in self._seen:
            self._seen[folder] = _look(folder)
        return self._seen[folder]


def _look(folder: Path) -> _Inside:
    folders: list[str] = []
    others: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_system_name(entry.name):
                    (folders if _is_folder(entry) else others).append(entry.name)
    except OSError:
        return _Inside((), has_pictures=False, is_readable=False)
    has_pictures = any(is_picture(folder / name) for name in others)
    return _Inside(tuple(folder / name for name in sorted(folders)), has_pictures=has_pictures)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder, following links, that is not a system's."""
    try:
        return path.is_dir() and not is_system_name(path.name)
    except OSError:  # In a folder without the right to enter: reported as a file without rights.
        return False


def is_picture(path: Path) -> bool:
    """Tell whether a file is a picture of any kind: by its name, else by its first bytes."""
    suffix = path.suffix.lower()
    if suffix in READ_SUFFIXES or suffix in OTHER_SUFFIXES:
        return True
    if not may_be_picture(path.name):
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode) and kind_of_file(path) is not None
    except OSError:
        return False
