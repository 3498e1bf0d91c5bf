"""Walk the class folders of a data folder and list their files, without opening them."""

from __future__ import annotations

import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from platforms.errors import shown, some
from sm_entrypoints.contract import TRAIN_CHANNEL
from sm_entrypoints.contract.sentences import clause, counted
from sm_entrypoints.images.files import (
    OTHER_SUFFIXES,
    RAW_SUFFIXES,
    READ_KINDS,
    READ_SUFFIXES,
    is_system_name,
    kind_of_file,
    may_be_picture,
)
from tasks.dataset.checking.conversion import advice_on, can_convert, readable
from tasks.dataset.findings import DataWarning, warning
from tasks.dataset.folders.structure import Structure
from tasks.dataset.folders.tree import is_folder


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

    ``splits`` are the channels that folders gave, none in the flat layout; ``classes`` are pairs of
    split and label; ``bad`` are files that cannot even be read, by path and reason.
    """

    candidates: tuple[Candidate, ...]
    splits: tuple[str, ...]
    classes: tuple[tuple[str | None, str], ...]
    problems: tuple[str, ...]
    bad: tuple[tuple[str, str], ...]
    warnings: tuple[DataWarning, ...]


@dataclass
class Scan:
    """One walk over a data folder; gathers what it finds.

    With ``converts``, pictures that can become JPEG or PNG are candidates too.
    """

    root: Path
    converts: bool = False
    candidates: list[Candidate] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    others: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    odd: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    classes: dict[str | None, list[str]] = field(default_factory=lambda: defaultdict(list))

    def folders(self, folder: Path) -> list[Path]:
        """Return the visible folders of a folder; files beside them are noted."""
        inner, files = self._list(folder)
        self.odd["outside"] += [self._relative(file) for file in files]
        return inner

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
        before, count = len(self.candidates) + len(self.bad), 0
        pictures_before = sum(map(len, self.others.values()))
        for file in self._walk(folder):
            count += 1
            if self._is_candidate(file):
                name = PurePosixPath(file.relative_to(folder)).as_posix()
                self.candidates.append(
                    Candidate(path=self._relative(file), split=split, label=label, name=name)
                )
        if len(self.candidates) + len(self.bad) == before:
            pictures = sum(map(len, self.others.values())) - pictures_before
            self._no_images(folder, count, pictures)

    def _no_images(self, folder: Path, found: int, pictures: int) -> None:
        others = f" (only {found} other files)" if found else ""
        advice = "add some or remove the folder"
        if pictures:
            place = f"{self._relative(folder)}/"
            kinds = {
                kind: inside
                for kind, paths in self.others.items()
                if (inside := [path for path in paths if path.startswith(place)])
            }
            others = f" (only {readable(kinds)})"
            advice = clause(advice_on(kinds)).replace("For ", "for ", 1)
        self.problems.append(
            f"the class folder '{shown(self._relative(folder))}' has no JPEG or PNG "
            f"image{others}; {advice}"
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
            kind = _kind(file, suffix) if regular else None
        except OSError as error:
            self.bad.append((self._relative(file), f"cannot be read: {error.strerror or error}"))
            return False
        if kind in READ_KINDS:
            return True
        if kind is None:
            self.odd["not_image"].append(self._relative(file))
        elif self.converts and can_convert(kind):
            return True
        else:
            self.others[kind].append(self._relative(file))
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
            classes=tuple((each.split, each.label) for each in structure.classes),
            problems=tuple(self.problems),
            bad=tuple(self.bad),
            warnings=(
                *structure.notices,
                *self._skipped(),
                *(
                    warning(code, f"{len(self.odd[code])} {text}", self.odd[code])
                    for code, text in _ODD.items()
                    if self.odd.get(code)
                ),
            ),
        )

    def _skipped(self) -> Iterator[DataWarning]:
        if self.others:
            paths = sorted(path for files in self.others.values() for path in files)
            text = f"{counted(len(paths), 'image is', 'images are')} skipped"
            why = f"({readable(self.others)}): only JPEG and PNG are read."
            yield warning("skipped_format", f"{text} {why} {advice_on(self.others)}", paths)

    def _relative(self, path: Path) -> str:
        return PurePosixPath(path.relative_to(self.root)).as_posix()


_ODD = {
    "hidden": "hidden files or folders, or a system's own (@eaDir, Thumbs.db), are ignored.",
    "ignored_folder": "folders beside the split folders are ignored.",
    "outside": "files outside class folders are ignored.",
    "not_image": "files in class folders are ignored: they are not pictures.",
    "link_loop": "folder links are ignored: they lead back to a folder already read.",
}


def _kind(file: Path, suffix: str) -> str | None:
    """Return the kind of picture in a file whose name does not say that it is JPEG or PNG."""
    if suffix in RAW_SUFFIXES:
        return "camera raw"
    if suffix not in OTHER_SUFFIXES:
        return kind_of_file(file) if may_be_picture(file.name) else None
    return kind_of_file(file) or f"{suffix} file"
