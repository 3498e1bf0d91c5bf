"""Walk the class folders of a data folder and list their files, without opening them."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from platforms.errors import shown, some
from sm_entrypoints.contract import TRAIN_CHANNEL
from sm_entrypoints.contract.sentences import clause, counted
from sm_entrypoints.images.files import (
    OTHER_SUFFIXES,
    RAW_SUFFIXES,
    READ_KINDS,
    READ_SUFFIXES,
    kind_of_file,
    may_be_picture,
)
from tasks.dataset.checking.conversion import advice_on, can_convert, readable
from tasks.dataset.findings import DataWarning, warning
from tasks.dataset.folders.structure import Structure
from tasks.dataset.folders.tree import Listing, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that should be an image.

    Attributes:
        path: relative to the data folder, with ``/``.
        split: a channel name, or None in the flat layout.
        label: name of the class folder.
        name: path below the class folder.
        size: in bytes, when it was found.
    """

    path: str
    split: str | None
    label: str
    name: str
    size: int


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

    @property
    def bytes(self) -> int:
        """The size of all candidates."""
        return sum(candidate.size for candidate in self.candidates)


@dataclass
class Scan:
    """One walk over a data folder; gathers what it finds.

    With ``converts``, pictures that can become JPEG or PNG are candidates too.
    """

    root: Path
    tree: Tree
    converts: bool = False
    candidates: list[Candidate] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    others: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    odd: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    classes: dict[str | None, list[str]] = field(default_factory=lambda: defaultdict(list))

    def note(self, folder: Path) -> None:
        """Note the files of a folder that is no class, and whether it cannot be read."""
        place = self._relative(folder)
        self.odd["outside"] += [_below(place, name) for name in self._list(folder).files]

    def read(self, structure: Structure) -> Layout:
        """Read the class folders of a structure; the folders beside them are only noted."""
        for folder in structure.passed:
            if folder != self.root:
                self.note(folder)
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
        for inner in self._walk(folder):
            names = self.tree.listing(inner).files
            count += len(names)
            place, inside = self._relative(inner), inner.relative_to(folder).as_posix()
            for name in names:
                path = _below(place, name)
                if (size := self._size(path)) is not None:
                    self.candidates.append(
                        Candidate(
                            path=path,
                            split=split,
                            label=label,
                            name=_below(inside, name),
                            size=size,
                        )
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
            waiting += [current / name for name in reversed(self._list(current).folders)]
            yield current

    def _list(self, folder: Path) -> Listing:
        listing, place = self.tree.listing(folder), self._relative(folder)
        if listing.problem:
            self.problems.append(f"the folder '{shown(place)}' cannot be read: {listing.problem}")
        self.odd["hidden"] += [_below(place, name) for name in listing.systems]
        return listing

    def _size(self, path: str) -> int | None:
        """Return the bytes of a file that should be an image; else note what it is."""
        file = f"{self.root}/{path}"
        # A Path for each file would double the time of the walk.
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
        try:
            found = os.stat(file)  # noqa: PTH116
            regular = stat.S_ISREG(found.st_mode)
            if suffix in READ_SUFFIXES and regular:
                return found.st_size
            kind = _kind(Path(file), suffix) if regular else None
        except OSError as error:
            self.bad.append((path, f"cannot be read: {error.strerror or error}"))
            return None
        if kind in READ_KINDS or (kind and self.converts and can_convert(kind)):
            return found.st_size
        (self.others[kind] if kind else self.odd["not_image"]).append(path)
        return None

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
        return path.relative_to(self.root).as_posix()


def _below(place: str, name: str) -> str:
    return name if place == "." else f"{place}/{name}"


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
