"""The labelled images in a job's channels, and whether they are fit for training."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sm_entrypoints.contract import TEST_CHANNEL, TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.images.files import is_channel_picture, is_system_name


class DataSetError(JobError):
    """Raised when a channel is not a folder of labelled images, or one of its images is bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The labelled files of one channel; ``labels`` index the data set's classes."""

    name: str
    folder: Path
    paths: tuple[str, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def file(self, place: int) -> Path:
        """Return where one of its files is."""
        return self.folder / self.paths[place]

    @classmethod
    def of(cls, name: str, folder: Path, files: Sequence[tuple[str, int]]) -> Split:
        """Return the split of files, each with its label."""
        paths, labels = tuple(path for path, _ in files), tuple(label for _, label in files)
        return cls(name=name, folder=folder, paths=paths, labels=labels)

    def part(self, places: Iterable[int]) -> Split:
        """Return the split of the files at these places."""
        files = [(self.paths[place], self.labels[place]) for place in places]
        return Split.of(self.name, self.folder, files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """The classes, sorted by name, and the splits of a job's channels."""

    classes: tuple[str, ...]
    train: Split
    valid: Split
    test: Split | None

    def fingerprint(self) -> str:
        """Return a digest of names, labels and sizes in bytes: changes when the data does."""
        digest = hashlib.sha256()
        for split in filter(None, (self.train, self.valid, self.test)):
            for path in split.paths:
                size = (split.folder / path).stat().st_size
                digest.update(f"{split.name}/{path}\0{size}\n".encode())
        return digest.hexdigest()


def read_splits(channels: Mapping[str, Path]) -> Splits:
    """List the images of the train, valid and (if there is one) test channel.

    System files and folders, and files that are not pictures, are left out.

    Raises:
        DataSetError: a channel is missing or empty, there are fewer than two classes, or a
            split has other classes than train.
    """
    folders = {
        name: _folder(channels, name)
        for name in (TRAIN_CHANNEL, VALID_CHANNEL, TEST_CHANNEL)
        if name != TEST_CHANNEL or name in channels
    }
    listings = {name: _listing(name, folder) for name, folder in folders.items()}
    classes = tuple(sorted(listings[TRAIN_CHANNEL]))
    if len(classes) < 2:
        raise DataSetError(
            f"channel 'train' has one class, {classes[0]!r}: a classifier needs at least two "
            "class folders"
        )
    splits = {}
    for name, listing in listings.items():
        _same_classes(name, set(listing), set(classes))
        files = [(path, index) for index, label in enumerate(classes) for path in listing[label]]
        splits[name] = Split.of(name, folders[name], files)
    return Splits(
        classes=classes,
        train=splits[TRAIN_CHANNEL],
        valid=splits[VALID_CHANNEL],
        test=splits.get(TEST_CHANNEL),
    )


def _folder(channels: Mapping[str, Path], name: str) -> Path:
    folder = channels.get(name)
    if folder is None:
        raise DataSetError(
            f"channel {name!r} is missing (the job has {sorted(channels) or 'none'}): give an "
            "input channel of that name"
        )
    if not folder.is_dir():
        raise DataSetError(f"channel {name!r} is not a folder: {folder}")
    return folder


def _listing(name: str, folder: Path) -> dict[str, list[str]]:
    listing: dict[str, list[str]] = {}
    for label in sorted(entry.name for entry in os.scandir(folder) if entry.is_dir()):
        if is_system_name(label):
            continue
        files = sorted(
            path.relative_to(folder).as_posix()
            for path in (folder / label).rglob("*")
            if not _hidden(path.relative_to(folder)) and is_channel_picture(path)
        )
        if not files:
            raise DataSetError(f"channel {name!r}: class {label!r} has no images")
        listing[label] = files
    if not listing:
        raise DataSetError(
            f"channel {name!r} is empty: it must hold one folder of images for each class"
        )
    return listing


def _hidden(path: Path) -> bool:
    return any(is_system_name(part) for part in path.parts)


def _same_classes(name: str, found: set[str], wanted: set[str]) -> None:
    for problem, labels in (
        ("has no images of", wanted - found),
        ("has classes that train lacks:", found - wanted),
    ):
        if labels:
            shown = ", ".join(repr(label) for label in sorted(labels)[:5])
            more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
            raise DataSetError(f"channel {name!r} {problem} {shown}{more}")
