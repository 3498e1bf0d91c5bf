"""Examine every file of a data set, several at a time; leave out unusable ones."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PIL import Image

from platforms.errors import shown
from tasks.dataset.checking.conversion import Converter
from tasks.dataset.checking.images import ImageFacts, inspect_image
from tasks.dataset.checking.memory import inspect_once
from tasks.dataset.checking.scan import Candidate, Layout
from tasks.dataset.checking.stat_cache import StatCache
from tasks.dataset.folders.reading import Reading

Progress = Callable[[int, int], None]
_PROGRESS_EVERY = 50


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was found in the files of a layout.

    Attributes:
        candidates: files that can be used, or still have to be reported. facts: of each of them.
        problems: files that cannot be used, in words. skipped: files that are left out for that
        reason, by path and reason.
    """

    candidates: tuple[Candidate, ...]
    facts: tuple[ImageFacts, ...]
    problems: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = field(default=())


def inspect_files(
    root: Path,
    layout: Layout,
    reading: Reading,
    progress: Progress | None,
    remembered: StatCache | None,
) -> Inspected:
    """Read every file of a layout.

    Files that cannot be used are problems, or with ``reading.skip_bad`` are left out; then a
    class of which nothing is left is the problem.
    """
    facts = _inspect(root, layout.candidates, reading, progress, remembered)
    pairs = list(zip(layout.candidates, facts, strict=True))
    bad = [*layout.bad, *((each.path, fact.problem) for each, fact in pairs if fact.problem)]
    if not reading.skip_bad:
        problems = tuple(f"'{shown(path)}' {reason}" for path, reason in bad)
        return Inspected(layout.candidates, tuple(facts), problems)
    kept = [(each, fact) for each, fact in pairs if not fact.problem]
    there = {(each.split or "", each.label) for each, _ in kept}
    gone = sorted({(split or "", label) for split, label in layout.classes} - there)
    return Inspected(
        tuple(each for each, _ in kept),
        tuple(fact for _, fact in kept),
        tuple(_nothing_left(split, label) for split, label in gone),
        tuple(bad),
    )


def _nothing_left(split: str, label: str) -> str:
    place = f"{split}/{label}" if split else label
    return f"no file of the class '{shown(place)}' can be used: add some or remove the folder"


def _inspect(
    root: Path,
    candidates: Sequence[Candidate],
    reading: Reading,
    progress: Progress | None,
    remembered: StatCache | None,
) -> list[ImageFacts]:
    converter = Converter(reading.convert_to) if reading.convert_to else None
    look = partial(inspect_once, remembered) if remembered else inspect_image
    inspect = partial(look, converter=converter)
    facts: list[ImageFacts] = []
    total = len(candidates)
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1), thread_name_prefix="check")
    try:
        with warnings.catch_warnings():
            # Pillow warns of what becomes a problem of its own here.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            for fact in pool.map(inspect, [root / item.path for item in candidates]):
                facts.append(fact)
                if progress and (len(facts) % _PROGRESS_EVERY == 0 or len(facts) == total):
                    progress(len(facts), total)
    finally:
        # Ctrl-C must not wait for thousands of files that are still queued.
        pool.shutdown(wait=True, cancel_futures=True)
    if remembered:
        remembered.save()
    return facts
