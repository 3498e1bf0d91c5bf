"""What the folders of a data folder mean: classes, splits, wrappers around them, or neither.

The decision uses names and the places of pictures, not their contents. In doubt Whippet asks: if
splits were taken for classes, the training would succeed, and the model would be worthless.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from platforms.errors import shown, some
from sm_entrypoints.contract import SPLITS, TRAIN_CHANNEL
from tasks.dataset.findings import DataWarning, data_error, warning
from tasks.dataset.folders.questions import ask, no_class_folders, no_classes, no_train
from tasks.dataset.folders.split_choice import SplitChoice
from tasks.dataset.folders.split_names import is_unlabelled_name, says_nothing, split_name
from tasks.dataset.folders.tree import Tree

_DEEPEST = 4
_DATE = re.compile(r"\d{4}([-_. ]?\d{2}){0,2}")
_TEST, _VALID = SPLITS[2], SPLITS[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFolder:
    """A folder whose pictures are of one class; ``split`` is None if there are no splits."""

    path: Path
    label: str
    split: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What a data folder is.

    Attributes:
        classes: its class folders.
        splits: the channels that folders gave, none where every folder is a class.
        passed: folders that hold those folders: the data folder itself, splits, wrappers.
        ignored: folders beside them.
        notices: what a person would want to know of how it was read.
    """

    classes: tuple[ClassFolder, ...]
    splits: tuple[str, ...] = ()
    passed: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()
    notices: tuple[DataWarning, ...] = ()


def read_structure(root: Path, tree: Tree, splits: Mapping[str, str] | None = None) -> Structure:
    """Return what the folders of a data folder are.

    Args:
        root: a folder that is there.
        tree: the folders as they are looked at.
        splits: the folder of each split, relative to ``root``; empty: every folder is a class;
            None: find out.

    Raises:
        DataError: there are no classes, or it is unclear what is a split.
    """
    reader = _Reader(root, tree)
    if splits:
        return reader.told(splits)
    return reader.classes(root, (root,)) if splits is not None else reader.read(root, (root,))


@dataclass(frozen=True, slots=True)
class _Reader:
    root: Path
    tree: Tree

    def read(self, base: Path, passed: tuple[Path, ...]) -> Structure:
        """Read a folder that may hold classes, splits, or one folder that does."""
        folders, full = self.tree.folders(base), self.tree.full(base)
        if not folders or (not full and self.tree.has_pictures(base)):
            raise no_classes(self.root, base)
        inner = self._wrapped(full, len(passed))
        if inner is not None:
            beside = tuple(path for path in folders if path != inner)
            structure = self.read(inner, (*passed, inner))
            return replace(structure, ignored=(*beside, *structure.ignored))
        by_class = self._splits_in_classes(base, full, passed)
        if by_class is not None:
            return by_class
        named = SplitChoice(self.root, self.tree).of(base, full)
        if named:
            return self._split(base, named, passed)
        self._ask_if_alike(full)
        return self._flat(base, passed)

    def classes(self, base: Path, passed: tuple[Path, ...]) -> Structure:
        """Read a folder whose folders are classes, or whose only folder holds those."""
        full = self.tree.full(base)
        if not self.tree.folders(base):
            raise no_classes(self.root, base)
        if len(full) == 1 and len(self.tree.full(full[0])) > 1 and len(passed) < _DEEPEST:
            return self.classes(full[0], (*passed, full[0]))
        return self._flat(base, passed)

    def told(self, splits: Mapping[str, str]) -> Structure:
        """Read the folders that were specified as the splits."""
        folders = {split: self.root / name for split, name in splits.items()}
        missing = [str(path) for path in folders.values() if not path.is_dir()]
        if missing:
            raise data_error(self.root, f"there is no folder {some(missing)} for a split")
        if TRAIN_CHANNEL not in folders:
            raise no_train(self.root, [Path(name) for name in splits.values()])
        return self._split(self.root, folders, (self.root,))

    def _flat(self, base: Path, passed: tuple[Path, ...]) -> Structure:
        folders = self.tree.folders(base)
        classes = tuple(ClassFolder(path=path, label=path.name, split=None) for path in folders)
        return Structure(classes=classes, passed=passed)

    def _wrapped(self, full: Sequence[Path], depth: int) -> Path | None:
        """Return the only folder with pictures when it holds the data set."""
        if len(full) != 1 or depth >= _DEEPEST:
            return None
        (only,) = full
        inside = self.tree.full(only)
        name = split_name(only.name)
        if name is not None and not name.rest:
            return None
        # One folder in one folder in one folder is no class either; one with pictures may be.
        if len(inside) > 1 or (inside and not self.tree.has_pictures(only)):
            return only
        return None

    def _splits_in_classes(
        self, base: Path, full: Sequence[Path], passed: tuple[Path, ...]
    ) -> Structure | None:
        """Read ``<class>/<split>/``, None when it is not so."""
        if any(self.tree.has_pictures(path) for path in full) or len(full) < 2:
            return None
        classes: list[ClassFolder] = []
        for folder in full:
            named = [(path, split_name(path.name)) for path in self.tree.full(folder)]
            splits = [name.split for _, name in named if name and not name.rest]
            if len(splits) != len(named) or len(set(splits)) != len(splits):
                return None
            if TRAIN_CHANNEL not in splits or any(self.tree.full(path) for path, _ in named):
                return None
            classes += [
                ClassFolder(path=path, label=folder.name, split=split)
                for (path, _), split in zip(named, splits, strict=True)
            ]
        made = {each.split for each in classes}
        beside = tuple(path for path in self.tree.folders(base) if path not in full)
        return Structure(
            classes=tuple(classes),
            splits=tuple(split for split in SPLITS if split in made),
            passed=(*passed, *full),
            ignored=beside,
        )

    def _split(
        self, base: Path, folders: Mapping[str, Path], passed: tuple[Path, ...]
    ) -> Structure:
        """Read the class folders of each split."""
        taken = set(folders.values())
        train, through = folders[TRAIN_CHANNEL], tuple[Path, ...]()
        if not _holds(train, taken):  # else its other folders are classes
            train, through = self._inside_split(train, ())
        labels = [path.name for path in self.tree.folders(train) if path not in taken]
        if not self.tree.full(train):
            raise no_class_folders(self.root, [folders[TRAIN_CHANNEL]])
        inner = {TRAIN_CHANNEL: train}
        passed, notices = (*passed, *through), []
        for split in (_VALID, _TEST):
            if split not in folders:
                continue
            folder_of_split, through = self._inside_split(folders[split], labels)
            notice = self._left_out(split, folder_of_split, labels)
            if notice is not None:
                notices.append(notice)
                continue
            inner[split] = folder_of_split
            passed = (*passed, *through)
        taken |= set(inner.values())
        beside = [path for path in self.tree.folders(base) if path not in taken]
        if train == base:
            beside = []
        return Structure(
            classes=tuple(
                ClassFolder(path=path, label=path.name, split=split)
                for split, folder in inner.items()
                for path in self.tree.folders(folder)
                if path not in taken
            ),
            splits=tuple(split for split in SPLITS if split in inner),
            passed=passed,
            ignored=tuple(path for path in beside if not _holds(path, taken)),
            notices=tuple(notices),
        )

    def _inside_split(
        self, folder: Path, labels: Sequence[str], through: tuple[Path, ...] = ()
    ) -> tuple[Path, tuple[Path, ...]]:
        """Return the folder with a split's class folders, and all on the way to it.

        Kaggle's archives unpack to ``training_set/training_set/<class>/``.
        """
        full = self.tree.full(folder)
        if len(full) != 1 or self.tree.has_pictures(folder) or len(through) >= _DEEPEST:
            return folder, (*through, folder)
        (only,) = full
        inside = {path.name for path in self.tree.full(only)}
        same_name = only.name.casefold() == folder.name.casefold()
        name, own = split_name(only.name), split_name(folder.name)
        same_split = name is not None and own is not None and name.split == own.split
        is_wrapper = same_name or same_split or says_nothing(only.name)
        if only.name in labels:
            is_wrapper = False
        elif not labels:
            is_wrapper = is_wrapper or len(inside) > 1
        else:
            is_wrapper = is_wrapper or bool(inside & set(labels))
        if is_wrapper:
            return self._inside_split(only, labels, (*through, folder))
        return folder, (*through, folder)

    def _left_out(self, split: str, folder: Path, labels: Sequence[str]) -> DataWarning | None:
        """Return why a split cannot be used and is made from train, None when it can."""
        place = shown(folder.relative_to(self.root).as_posix())
        full = self.tree.full(folder)
        if not self.tree.is_full(folder):
            return warning(
                "split_empty", f"The folder '{place}' has no pictures: there is no {split} split."
            )
        if full and not self._is_unlabelled(full, labels):
            return None
        return warning(
            "unlabelled",
            f"The pictures in '{place}' are not in class folders, so their classes are unknown: "
            f"they are left out, and {split} is made without them.",
        )

    def _is_unlabelled(self, full: Sequence[Path], labels: Sequence[str]) -> bool:
        if {path.name for path in full} & set(labels):
            return False
        names = [path.name for path in full]
        return all(
            says_nothing(name) or is_unlabelled_name(name) or split_name(name) for name in names
        )

    def _ask_if_alike(self, full: Sequence[Path]) -> None:
        """Refuse folders that all hold the same folders: splits with unusual names, or folds.

        Raises:
            DataError: asks what they are.
        """
        if len(full) < 2:
            return
        inside = [{path.name.casefold() for path in self.tree.full(each)} for each in full]
        shared = {name for name in set.intersection(*inside) if _may_be_class(name)}
        if len(shared) > 1 and 2 * len(shared) >= len(set.union(*inside)):
            raise ask(self.root, full, [], sorted(shared))


def _may_be_class(name: str) -> bool:
    # "2023" is when it was taken, "7" may be a digit.
    return not says_nothing(name) and not _DATE.fullmatch(name)


def _holds(folder: Path, others: Iterable[Path]) -> bool:
    return any(folder in other.parents for other in others)
