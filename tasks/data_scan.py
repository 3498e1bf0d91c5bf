"""Walk the class folders of a data folder and gather what lies in them, without opening files."""

from __future__ import annotations

import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sm_entrypoints.contract import TRAIN_CHANNEL
from sm_entrypoints.images.files import (
    OTHER_SUFFIXES,
    READ_KINDS,
    READ_SUFFIXES,
    is_system_name,
    kind_of_file,
    may_be_picture,
)
from tasks.data_findings import DataWarning, shown, some, warning
from tasks.dataset.structure import Structure
from tasks.dataset.tree import is_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that should be an image.

    Attributes:
        path: relative to the data folder, with ``/``.
        split: a channel name, or None in the flat layout.
        label: name of the class folder.
        name: path below the class folder.
    """

    path: str
    split: str | None
    label: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The files of a data folder, in the order of their paths, and what is odd about it.

    ``splits`` are the channels that folders gave, none in the flat layout.
    """

    candidates: tuple[Candidate, ...]
    splits: tuple[str, ...]
    problems: tuple[str, ...]
    warnings: tuple[DataWarning, ...]


@dataclass
class Scan:
    """One walk over a data folder; gathers what it finds."""

    root: Path
    candidates: list[Candidate] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    odd: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    classes: dict[str | None, list[str]] = field(default_factory=lambda: defaultdict(list))

    def folders(self, folder: Path) -> list[Path]:
        """Return the visible folders of a folder; files beside them are noted."""
        found, files = self._list(folder)
        self.odd["outside"] += [self._relative(file) for file in files]
        return found

    def read(self, structure: Structure) -> Layout:
        """Read the class folders of a structure; the folders beside them are only noted."""
        for folder in structure.passed:
            if folder != self.root:
                self.folders(folder)
        self.odd["ignored_folder"] += [self._relative(folder) for folder in structure.ignored]
        for each in structure.classes:
            self.read_class(each.path, each.label, each.split)
        self.check_classes()
        return self.layout(structure)

    def read_class(self, folder: Path, label: str, split: str | None) -> None:
        """Take a class folder's images, in any depth, as candidates; note what is odd in it."""
        self.classes[split].append(label)
        if not label.isprintable():
            self.problems.append(
                f"the class folder '{shown(label)}' has control characters in its name; rename it"
            )
        before, skipped = len(self.candidates), 0
        for file in self._walk(folder):
            skipped += 1
            if self._is_candidate(file):
                name = PurePosixPath(file.relative_to(folder)).as_posix()
                self.candidates.append(
                    Candidate(path=self._relative(file), split=split, label=label, name=name)
                )
        if len(self.candidates) == before:
            others = f" (only {skipped} other files)" if skipped else ""
            self.problems.append(
                f"the class folder '{shown(self._relative(folder))}' has no JPEG or PNG "
                f"image{others}; add some or remove the folder"
            )

    def _walk(self, folder: Path) -> Iterator[Path]:
        seen: set[Path] = set()
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            target = current.resolve()
            if target in seen or (current != folder and folder.resolve().is_relative_to(target)):
                self.odd["link_loop"].append(self._relative(current))
                continue
            seen.add(target)
            folders, files = self._list(current)
            waiting += reversed(folders)
            yield from files

    def _list(self, folder: Path) -> tuple[list[Path], list[Path]]:
        folders: list[Path] = []
        files: list[Path] = []
        try:
            paths = sorted(folder.iterdir())
        except OSError as error:
            place = shown(self._relative(folder))
            self.problems.append(f"the folder '{place}' cannot be read: {error.strerror}")
            return [], []
        for path in paths:
            if is_system_name(path.name):
                self.odd["hidden"].append(self._relative(path))
            else:
                (folders if is_folder(path) else files).append(path)
        return folders, files

    def _is_candidate(self, file: Path) -> bool:
        suffix = file.suffix.lower()
        try:
            regular = stat.S_ISREG(file.stat().st_mode)
            if suffix in READ_SUFFIXES and regular:
                return True
            kind = None
            if regular and (suffix in OTHER_SUFFIXES or may_be_picture(file.name)):
                kind = kind_of_file(file)
        except OSError as error:
            place = shown(self._relative(file))
            self.problems.append(f"'{place}' cannot be read: {error.strerror or error}")
            return False
        if kind in READ_KINDS:
            return True
        is_other = regular and (kind is not None or suffix in OTHER_SUFFIXES)
        self.odd["skipped_format" if is_other else "not_image"].append(self._relative(file))
        return False

    def check_classes(self) -> None:
        """Note class sets that differ between splits and names that differ only by case."""
        train = set(self.classes[TRAIN_CHANNEL if TRAIN_CHANNEL in self.classes else None])
        for split, labels in self.classes.items():
            missing, extra = sorted(train - set(labels)), sorted(set(labels) - train)
            if missing:
                self.problems.append(f"classes of train are missing in {split}: {some(missing)}")
            if extra:
                self.problems.append(f"classes of {split} are missing in train: {some(extra)}")
        if len(train) < 2:
            self.problems.append(
                f"training needs at least two classes, found {some(sorted(train))}"
            )
        by_name: dict[str, set[str]] = defaultdict(set)
        for label in {label for labels in self.classes.values() for label in labels}:
            by_name[unicodedata.normalize("NFC", label).casefold()].add(label)
        self.problems += [
            f"class names differ only in case or in accents' encoding: {some(sorted(labels))}; "
            "rename or merge them"
            for labels in by_name.values()
            if len(labels) > 1
        ]

    def layout(self, structure: Structure) -> Layout:
        """Return what was found, as values that do not change any more."""
        return Layout(
            candidates=tuple(sorted(self.candidates, key=lambda candidate: candidate.path)),
            splits=structure.splits,
            problems=tuple(self.problems),
            warnings=(
                *structure.notices,
                *(
                    warning(code, f"{len(self.odd[code])} {text}", self.odd[code])
                    for code, text in _ODD.items()
                    if self.odd.get(code)
                ),
            ),
        )

    def _relative(self, path: Path) -> str:
        return PurePosixPath(path.relative_to(self.root)).as_posix()


_ODD = {
    "hidden": "hidden files or folders, or a system's own (@eaDir, Thumbs.db), are ignored.",
    "ignored_folder": "folders beside the split folders are ignored.",
    "outside": "files outside of class folders are ignored.",
    "skipped_format": "images are skipped: only JPEG and PNG are read; convert them to use them.",
    "not_image": "files in class folders are ignored: they are no pictures.",
    "link_loop": "folder links are ignored: they lead back to a folder already read.",
}
