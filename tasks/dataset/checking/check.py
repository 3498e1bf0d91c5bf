"""Check a data set before anything is uploaded, and determine what a run will train on.

Errors stop the run and are all reported at once; warnings go with the data set into the artifact
and the report. User files are only read: a split that we make is a mapping; nothing is moved.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from platforms.errors import shown
from sm_entrypoints.contract import TEST_CHANNEL, TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.contract.sentences import counted
from sm_entrypoints.images.look import Look
from tasks.dataset.checking.duplicates import similar_groups
from tasks.dataset.checking.files import DataFile
from tasks.dataset.checking.images import ImageFacts
from tasks.dataset.checking.inspection import Progress, inspect_files
from tasks.dataset.checking.layout import read_layout
from tasks.dataset.checking.oddities import data_warnings, images_per_class
from tasks.dataset.checking.scan import Candidate, Layout
from tasks.dataset.checking.split import check_shares, split_class
from tasks.dataset.checking.stat_cache import StatCache
from tasks.dataset.document import DataDocument, SplitCounts, Spread
from tasks.dataset.findings import DataWarning, data_error, warning
from tasks.dataset.folders.reading import Reading
from tasks.dataset.identity import fingerprint_of, name_of_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCheck:
    """A data set that can be trained on: every file was read whole.

    Attributes:
        name: name of the data set, fit for an object key.
        root: the folder.
        fingerprint: sha256 over key and content of every file: what jobs would see.
        files: of all splits, in the order of their keys.
        warnings: what is odd but does not stop a run.
        split_source: ``folders`` if the user made all splits, ``stratified`` if we made any.
        skipped: files that were left out because they cannot be used, by path and reason.
    """

    name: str
    root: Path
    fingerprint: str
    files: tuple[DataFile, ...]
    warnings: tuple[DataWarning, ...]
    split_source: str
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the trained model's outputs."""
        return sorted({file.label for file in self.files})

    def document(
        self, *, place: str | None = None, left_out_list: str | None = None
    ) -> DataDocument:
        """Return the summary that artifacts and reports show, without the list of files.

        Args:
            place: where the data set is, if ``root`` is only a copy of it.
            left_out_list: path of the list of what was left out.
        """
        counts = images_per_class(self.files)
        return DataDocument(
            name=self.name,
            root=place or shown(str(self.root)),
            fingerprint=self.fingerprint,
            classes=self.classes,
            splits={
                split: SplitCounts(images=sum(per_class.values()), per_class=per_class)
                for split, per_class in counts.items()
            },
            bytes=sum(file.size for file in self.files),
            sizes={
                "width": _spread([file.width for file in self.files]),
                "height": _spread([file.height for file in self.files]),
            },
            warnings=list(self.warnings),
            split_source=self.split_source,
            left_out=len(self.skipped) or None,
            left_out_list=left_out_list,
        )


def check_data(
    root: Path,
    reading: Reading | None = None,
    *,
    progress: Progress | None = None,
    remembered: StatCache | None = None,
) -> DataCheck:
    """Read every image of a data folder and settle its splits. Changes no file.

    A missing valid or test split is taken out of train: stratified by class, decided by content
    and seed alone, near-duplicates kept in one split; a warning says so.

    Args:
        root: folder in one of the layouts of :mod:`tasks.dataset.checking.layout`.
        reading: how to read it.
        progress: called with (files read, files in all) from the caller's thread.
        remembered: what earlier checks found (:func:`tasks.dataset.checking.memory.open_memory`):
            files that are what they were then are not read again. Saved on the way out.

    Raises:
        DataError: lists every problem: layout, class sets, files that cannot be decoded.
        ParameterError: the shares leave nothing for training.

    Example:
        >>> from tasks.dataset.checking.check import check_data
        >>> check = check_data(project_root / "samples" / "clipart")
        >>> check.classes[:3], len(check.files)
        (['beverages', 'birds', 'bugs'], 584)
        >>> sorted(check.document().splits)
        ['test', 'train', 'valid']
    """
    reading = reading or Reading()
    shares = {VALID_CHANNEL: reading.valid_share, TEST_CHANNEL: reading.test_share}
    check_shares(shares)
    layout = read_layout(root, reading)
    inspected = inspect_files(root, layout, reading, progress, remembered)
    facts = inspected.facts
    alike = _look_alikes(facts)
    missing = {split: share for split, share in shares.items() if split not in layout.splits}
    problems = [
        *layout.problems,
        *_too_small(inspected.candidates, list(missing)),
        *inspected.problems,
    ]
    if problems:
        raise data_error(root, *problems)
    layout = replace(layout, candidates=inspected.candidates)
    files = _files(layout, facts, _splits(layout, facts, alike, missing, reading.seed))
    odd = data_warnings(files, [fact.mode for fact in facts], alike)
    made = [*_left_out(inspected.skipped), *_made_splits(layout, files, missing, reading.seed)]
    return DataCheck(
        name=name_of_folder(root),
        root=root,
        fingerprint=fingerprint_of({file.key: file.sha256 for file in files}),
        files=tuple(sorted(files, key=lambda file: file.key)),
        warnings=(*made, *odd, *layout.warnings),
        skipped=inspected.skipped,
        split_source="stratified" if missing else "folders",
    )


def check_folders(root: Path, reading: Reading | None = None) -> Layout:
    """Return the layout of a data folder, checked without opening an image: quick, but not all.

    Raises:
        DataError: lists every problem of the folders.
    """
    layout = read_layout(root, reading)
    missing = [split for split in (VALID_CHANNEL, TEST_CHANNEL) if split not in layout.splits]
    bad = [] if reading and reading.skip_bad else layout.bad
    unread = [f"'{shown(path)}' {reason}" for path, reason in bad]
    problems = [*layout.problems, *_too_small(layout.candidates, missing), *unread]
    if problems:
        raise data_error(root, *problems)
    return layout


def _look_alikes(facts: Sequence[ImageFacts]) -> list[list[int]]:
    seen: list[tuple[int, Look]] = [
        (index, fact.look) for index, fact in enumerate(facts) if fact.look
    ]
    return [
        [seen[member][0] for member in group]
        for group in similar_groups([look for _, look in seen])
    ]


def _too_small(candidates: Sequence[Candidate], missing: Sequence[str]) -> list[str]:
    needed = 1 + len(missing)
    counts: dict[str, int] = defaultdict(int)
    for candidate in candidates:
        counts[candidate.label] += candidate.split in (None, TRAIN_CHANNEL)
    return [
        f"the class '{shown(label)}' has {counted(count, 'image')}, but {needed} are "
        f"needed: one each for "
        f"{', '.join([TRAIN_CHANNEL, *missing])}"
        for label, count in sorted(counts.items())
        if 0 < count < needed
    ]


def _splits(
    layout: Layout,
    facts: Sequence[ImageFacts],
    alike: Sequence[Sequence[int]],
    missing: dict[str, float],
    seed: int,
) -> list[str]:
    """Return the split of each candidate: its folder's, or one that we choose."""
    splits = [candidate.split or TRAIN_CHANNEL for candidate in layout.candidates]
    if not missing:
        return splits
    group_of = {index: group[0] for group in alike for index in group}
    by_class: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, candidate in enumerate(layout.candidates):
        if splits[index] == TRAIN_CHANNEL:
            by_class[candidate.label][group_of.get(index, index)].append(index)
    for grouped in by_class.values():
        groups = list(grouped.values())
        if len(groups) <= len(missing):
            # Nearly all of a class looks the same: a leak, and warned of, beats an empty split.
            groups = [[index] for group in groups for index in group]
        digests = [[facts[index].sha256 for index in group] for group in groups]
        for group, split in zip(groups, split_class(digests, missing, seed=seed), strict=True):
            for index in group:
                splits[index] = split
    return splits


def _files(layout: Layout, facts: Sequence[ImageFacts], splits: Sequence[str]) -> list[DataFile]:
    return [
        DataFile(
            path=candidate.path,
            split=split,
            label=candidate.label,
            name=candidate.name,
            size=fact.size,
            sha256=fact.sha256,
            width=fact.width,
            height=fact.height,
            converted=fact.converted,
        )
        for candidate, fact, split in zip(layout.candidates, facts, splits, strict=True)
    ]


def _left_out(skipped: Sequence[tuple[str, str]]) -> list[DataWarning]:
    if not skipped:
        return []
    files = "1 file is" if len(skipped) == 1 else f"{len(skipped)} files are"
    text = f"{files} left out: bad files are skipped (--skip-bad)."
    return [warning("bad_files", text, [path for path, _ in skipped])]


def _made_splits(
    layout: Layout, files: Sequence[DataFile], missing: dict[str, float], seed: int
) -> list[DataWarning]:
    if not missing:
        return []
    counts = {split: sum(file.split == split for file in files) for split in missing}
    made = " and ".join(f"{split} ({counted(count, 'image')})" for split, count in counts.items())
    origin = "train" if layout.splits else "the class folders"
    return [
        warning(
            "split_made",
            f"There is no {' or '.join(missing)} folder: {made} taken out of {origin}, by class, "
            f"seed {seed}. No file was moved.",
        )
    ]


def _spread(values: Sequence[int]) -> Spread:
    return Spread(min=min(values), median=int(statistics.median(values)), max=max(values))
