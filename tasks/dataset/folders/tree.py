"""A folder and everything below it, each folder listed once: what lies where?"""

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
class Listing:
    """The names right in a folder, sorted: ``systems`` are a system's own, folders and files.

    ``problem`` says why the folder cannot be listed, None where it can.
    """

    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    problem: str | None = None


@dataclass
class Tree:
    """Answers from the names alone, where they say it; never raises for what it cannot read.

    It shows each folder as it was when it was first asked for: make one for each look at the data.
    """

    _seen: dict[Path, Listing] = field(default_factory=dict)
    _pictured: dict[Path, bool] = field(default_factory=dict)
    _full: dict[Path, bool] = field(default_factory=dict)

    def listing(self, folder: Path) -> Listing:
        """Return what lies right in a folder."""
        if folder not in self._seen:
            self._seen[folder] = _look(folder)
        return self._seen[folder]

    def folders(self, folder: Path) -> tuple[Path, ...]:
        """Return the folders in a folder that are not a system's, by name."""
        return tuple(folder / name for name in self.listing(folder).folders)

    def full(self, folder: Path) -> list[Path]:
        """Return the folders in a folder with pictures anywhere below them, by name."""
        return [path for path in self.folders(folder) if self.is_full(path)]

    def has_pictures(self, folder: Path) -> bool:
        """Tell whether pictures lie right in a folder."""
        if folder not in self._pictured:
            names = self.listing(folder).files
            self._pictured[folder] = any(is_picture(folder / name) for name in names)
        return self._pictured[folder]

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
            if self.has_pictures(current) or self.listing(current).problem:
                return True
            waiting += reversed(self.folders(current))
        return False


def _look(folder: Path) -> Listing:
    folders: list[str] = []
    files: list[str] = []
    systems: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_system_name(entry.name):
                    systems.append(entry.name)
                else:
                    (folders if _is_folder(entry) else files).append(entry.name)
    except OSError as error:
        return Listing(problem=error.strerror or str(error))
    return Listing(tuple(sorted(folders)), tuple(sorted(files)), tuple(sorted(systems)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
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
