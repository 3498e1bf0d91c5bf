"""What is odd about a data set whose files are all sound: leaks, imbalance, rare modes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from platforms.errors import some
from sm_entrypoints.contract import SPLITS, TRAIN_CHANNEL
from sm_entrypoints.contract.sentences import counted
from tasks.dataset.checking.files import DataFile
from tasks.dataset.findings import DataWarning, warning

MAX_IMBALANCE = 10
MIN_TRAIN_IMAGES = 10
PLAIN_MODES = frozenset({"RGB", "L"})


def data_warnings(
    files: Sequence[DataFile], modes: Sequence[str], look_alikes: Sequence[Sequence[int]]
) -> list[DataWarning]:
    """Return the warnings about checked files.

    Args:
        files: of all splits.
        modes: Pillow's mode of each file.
        look_alikes: groups of indexes of files that look the same.
    """
    counts = images_per_class(files)
    return [
        *_leaks(files, look_alikes),
        *_conflicts(files),
        *_imbalance(counts[TRAIN_CHANNEL]),
        *_few(counts[TRAIN_CHANNEL]),
        *_modes(files, modes),
    ]


def images_per_class(files: Sequence[DataFile]) -> dict[str, dict[str, int]]:
    """Return how many images each class has in each split, splits in order, classes by name."""
    counts = Counter((file.split, file.label) for file in files)
    labels = sorted({file.label for file in files})
    present = {file.split for file in files}
    return {
        split: {label: counts[split, label] for label in labels}
        for split in SPLITS
        if split in present
    }


def _leaks(
    files: Sequence[DataFile], look_alikes: Sequence[Sequence[int]]
) -> Iterator[DataWarning]:
    exact: list[str] = []
    near: list[str] = []
    for group in look_alikes:
        members = [files[index] for index in group]
        if len({file.split for file in members}) > 1:
            splits: dict[str, set[str]] = defaultdict(set)
            for file in members:
                splits[file.sha256].add(file.split)
            for file in members:
                (exact if len(splits[file.sha256]) > 1 else near).append(file.path)
    advice = "so its scores are too good. Keep each picture in one split; listed together"
    if exact:
        yield warning(
            "duplicate",
            f"The same image is in more than one split ({counted(len(exact), 'file')}), {advice}.",
            exact,
        )
    if near:
        yield warning(
            "near_duplicate",
            f"Images in one split look like images in another ({counted(len(near), 'file')}), "
            f"{advice}.",
            near,
        )


def _conflicts(files: Sequence[DataFile]) -> Iterator[DataWarning]:
    by_content: dict[str, list[DataFile]] = defaultdict(list)
    for file in files:
        by_content[file.sha256].append(file)
    paths = [
        file.path
        for same in by_content.values()
        if len({file.label for file in same}) > 1
        for file in same
    ]
    if paths:
        yield warning(
            "label_conflict",
            f"The same image has more than one class ({len(paths)} files): remove the wrong ones.",
            paths,
        )


def _imbalance(train: Mapping[str, int]) -> Iterator[DataWarning]:
    most, least = max(train, key=lambda k: train[k]), min(train, key=lambda k: train[k])
    if train[most] > MAX_IMBALANCE * train[least]:
        yield warning(
            "imbalance",
            f"Classes are out of balance: '{most}' has {train[most]} training images, '{least}' "
            f"only {train[least]}. Accuracy will say little about the rare classes: read the "
            "per-class figures.",
        )


def _few(train: Mapping[str, int]) -> Iterator[DataWarning]:
    few = [label for label, count in train.items() if count < MIN_TRAIN_IMAGES]
    if few:
        yield warning(
            "few_images",
            f"Fewer than {MIN_TRAIN_IMAGES} training images in {some(few)}: add more if you can.",
        )


def _modes(files: Sequence[DataFile], modes: Sequence[str]) -> Iterator[DataWarning]:
    unusual: dict[str, list[str]] = defaultdict(list)
    for file, mode in zip(files, modes, strict=True):
        if mode not in PLAIN_MODES:
            unusual[mode].append(file.path)
    for mode, paths in sorted(unusual.items()):
        yield warning(
            "mode",
            f"{counted(len(paths), 'image has', 'images have')} the colour mode {mode}: "
            f"converted to RGB when "
            "read (transparency over white).",
            paths,
        )
