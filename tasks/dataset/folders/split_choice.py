"""Which of several sibling folders are splits, judged by their names and contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sm_entrypoints.contract import TEST_CHANNEL, TRAIN_CHANNEL
from tasks.dataset.folders.questions import ask, no_class_folders, no_train, two_of_a_split
from tasks.dataset.folders.split_names import (
    SplitName,
    is_counterpart,
    is_unlabelled_name,
    split_name,
)
from tasks.dataset.folders.tree import Tree


@dataclass(frozen=True, slots=True)
class SplitChoice:
    """Chooses the split folders of a data folder."""

    root: Path
    tree: Tree

    def of(self, base: Path, full: Sequence[Path]) -> dict[str, Path]:
        """Return the split folders of ``base`` by channel, none when every folder is a class.

        Raises:
            DataError: it is unclear, or the splits cannot be trained on.
        """
        folders = self.tree.folders(base)
        names = {path: name for path in folders if (name := split_name(path.name))}
        chosen = _one_naming(names)
        if not chosen and len(_namings(names)) > 1:  # cats_train, cats_test, dogs_train, …
            raise ask(self.root, list(names), [])
        kinds = {chosen[path].split for path in chosen if path in full}
        if not kinds:
            return {}
        splits = self._one_each(chosen)
        if TRAIN_CHANNEL in kinds:
            return self._with_train(splits, chosen, full)
        others = [path for path in full if path not in chosen]
        if not others:
            raise no_train(self.root, [path for path in chosen if path in full])
        return self._beside_classes(base, splits, others)

    def _beside_classes(
        self, base: Path, splits: dict[str, Path], others: Sequence[Path]
    ) -> dict[str, Path]:
        """Return the splits of ``cat/ dog/ test/<class>/``: what is beside them is to train on."""
        full = {split: path for split, path in splits.items() if self.tree.is_full(path)}
        inside = {each.name for path in full.values() for each in self.tree.full(path)}
        if inside & {path.name for path in others}:
            return {TRAIN_CHANNEL: base, **splits}
        if any(is_counterpart(path.name) for path in others):
            return {}  # of "valid" and "invalid", of "test" and "control" both are classes
        raise ask(self.root, list(full.values()), others, train=base)

    def _with_train(
        self, splits: dict[str, Path], chosen: Mapping[Path, SplitName], full: Sequence[Path]
    ) -> dict[str, Path]:
        train = splits[TRAIN_CHANNEL]
        others = [path for path in full if path not in chosen]
        several = len({chosen[path].split for path in chosen if path in full}) > 1
        if self.tree.full(train):
            strange = [path for path in others if not self._is_no_class(path)]
            if several or not strange:
                return splits
            raise ask(self.root, [train], strange)
        if not several and others:
            return {}  # pictures right in it, as in the folders beside it: a class of vehicles
        if several and others:
            raise ask(self.root, [path for path in chosen if path in full], others)
        raise no_class_folders(self.root, [path for path in chosen if path in full])

    def _is_no_class(self, folder: Path) -> bool:
        return is_unlabelled_name(folder.name) or split_name(folder.name) is not None

    def _one_each(self, chosen: Mapping[Path, SplitName]) -> dict[str, Path]:
        """Return one folder a split; empty ones give way, and one for evaluation is the test."""
        splits: dict[str, Path] = {}
        for path, name in sorted(chosen.items(), key=lambda each: each[1].rather_test):
            split = name.split
            if split in splits and self.tree.is_full(path) and self.tree.is_full(splits[split]):
                tested = any(each.split == TEST_CHANNEL for each in chosen.values())
                if not name.rather_test or tested or TEST_CHANNEL in splits:
                    kept = [each for each in chosen if each != path and self.tree.is_full(each)]
                    raise two_of_a_split(self.root, split, [*kept, path])
                split = TEST_CHANNEL
            if split not in splits or self.tree.is_full(path):
                splits[split] = path
        return splits


def _namings(names: Mapping[Path, SplitName]) -> dict[tuple[str, ...], set[str]]:
    """Return the words beside which there are folders to train on and for more, with the splits."""
    kinds: dict[tuple[str, ...], set[str]] = {}
    for name in names.values():
        kinds.setdefault(name.rest, set()).add(name.split)
    return {
        rest: splits
        for rest, splits in kinds.items()
        if TRAIN_CHANNEL in splits and splits - {TRAIN_CHANNEL}
    }


def _one_naming(names: Mapping[Path, SplitName]) -> dict[Path, SplitName]:
    """Return the folders whose names are splits of one data set.

    Plain names first; else those that have the same words besides, as in ``seg_train, seg_test``.
    """
    groups: dict[tuple[str, ...], dict[Path, SplitName]] = {}
    for path, name in names.items():
        groups.setdefault(name.rest, {})[path] = name
    plain = groups.get((), {})
    kinds = {rest: {name.split for name in group.values()} for rest, group in groups.items()}
    if TRAIN_CHANNEL in kinds.get((), ()) or not names:
        return plain
    several = list(_namings(names))
    if len(several) == 1:
        return groups[several[0]]
    every = {split for splits in kinds.values() for split in splits}
    if len(names) == len(every) > 1 and TRAIN_CHANNEL in every and plain:
        return dict(names)  # "train_photos_2021" and "test"
    return plain
