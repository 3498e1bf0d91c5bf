"""Questions and refusals about the folders of a data folder, each with what to type."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from platforms.errors import DataError, some
from sm_entrypoints.contract import TEST_CHANNEL, TRAIN_CHANNEL, VALID_CHANNEL
from tasks.dataset.findings import data_error
from tasks.dataset.folders.split_names import split_name

_EVERY_CLASS = "--no-splits if every folder is a class"
_OTHERS = (TEST_CHANNEL, VALID_CHANNEL)


def ask(
    root: Path,
    splits: Sequence[Path],
    others: Sequence[Path],
    shared: Sequence[str] = (),
    train: Path | None = None,
) -> DataError:
    """Return the question whether folders are splits or classes, with how to answer it.

    Args:
        root: the data folder.
        splits: the folders.
        others: folders with pictures beside them.
        shared: folders that all of ``splits`` hold, if that is why.
        train: what would be trained on, if none of ``splits`` is called so.
    """
    names = some([path.name for path in splits])
    if others:
        why = f"the folders {names} have the names of splits, but beside {_verb(others)} pictures"
    elif not shared:
        why = f"the folders {names} have the names of splits of several data sets"
    else:
        why = f"the folders {names} hold folders of the same names ({some(shared)})"
    return data_error(
        root,
        f"{why}. Are these splits of one data set, or classes? {_how(root, splits, train)}",
    )


def no_class_folders(root: Path, splits: Sequence[Path]) -> DataError:
    """Return the refusal of split folders with pictures right in them."""
    names = some([path.name for path in splits])
    tables = _tables(root)
    labels = f" (the labels may be in {some(tables)}: sort the pictures by it)" if tables else ""
    return data_error(
        root,
        f"{names}: no class folders inside. Put the images of each class into a folder of its "
        f"own, as in train/<class>/<file>{labels}; or give {_EVERY_CLASS}",
    )


def no_train(root: Path, splits: Sequence[Path]) -> DataError:
    """Return the refusal of splits without one to train on."""
    names = some([path.name for path in splits])
    return data_error(
        root,
        f"there is {names} but no 'train' folder with pictures. Add train/<class>/<file>, or "
        f"give flat <class>/ folders, which Whippet splits for you. {_how(root, splits)}",
    )


def two_of_a_split(root: Path, split: str, folders: Sequence[Path]) -> DataError:
    """Return the refusal of two folders for one split; the last of ``folders`` is one too many."""
    *kept, last = folders
    names = some(sorted(path.name for path in (*kept, last) if _is(path, split)))
    return data_error(
        root,
        f"{names} are both the {split} split; keep one, or say which. {_how(root, kept)}",
    )


def no_classes(root: Path, base: Path) -> DataError:
    """Return the refusal of a folder that has no folders in it."""
    place = "it" if base == root else f"'{base.relative_to(root)}'"
    tables = _tables(base)
    labels = f" The labels may be in {some(tables)}." if tables else ""
    return data_error(
        root,
        f"{place} has no class folders. Put the images of each class into a folder of its own: "
        f"<class>/<file>, or train/<class>/<file>.{labels}",
    )


def _verb(others: Sequence[Path]) -> str:
    names = some([path.name for path in others])
    return f"them {names} has" if len(others) == 1 else f"them {names} have"


def _how(root: Path, folders: Sequence[Path], train: Path | None = None) -> str:
    """Return the options that answer: what the names suggest, else the first two folders."""
    guess: dict[str, Path] = {TRAIN_CHANNEL: train} if train else {}
    for path in folders:
        name = split_name(path.name)
        guess.setdefault(name.split if name else "", path)
    guess.pop("", None)
    for split in (TRAIN_CHANNEL, *_OTHERS):
        left = [path for path in folders if path not in guess.values()]
        if split not in guess and left and (len(guess) < 2 or split == TRAIN_CHANNEL):
            guess[split] = left[0]
    options = " ".join(
        _option(root, split, guess[split])
        for split in (TRAIN_CHANNEL, VALID_CHANNEL, TEST_CHANNEL)
        if split in guess
    )
    return f"Give {options} if they are splits, or {_EVERY_CLASS}"


def _option(root: Path, split: str, folder: Path) -> str:
    name = folder.relative_to(root).as_posix() if folder.is_absolute() else folder.as_posix()
    return shlex.join(["--split", f"{split}={name}"])


def _is(folder: Path, split: str) -> bool:
    name = split_name(folder.name)
    return name is not None and name.split == split


def _tables(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.csv"))[:3]
