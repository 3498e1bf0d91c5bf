"""Choose evenly from more than can be read, count its epochs, and say what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most ``most`` items in their order, evenly spaced, the first and last among them.

    Raises:
        ValueError: ``most`` is below 2.
    """
    if most < 2:
        raise ValueError(f"most must be 2 or more, but got {most}")
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def readable(folder: Path, pattern: str, *, most: int, size: int) -> tuple[list[Path], int]:
    """Return files of a folder, evenly chosen, and how many are left out: too many or too large.

    ``size`` is how many bytes one may have. Links are not followed.
    """
    files = [path for path in sorted(folder.glob(pattern)) if not path.is_symlink()]
    chosen = [path for path in evenly(files, most) if path.stat().st_size <= size]
    return chosen, len(files) - len(chosen)


def left_out(what: str, skipped: int, broken: int) -> list[str]:
    """Say how many files of a kind were not read, and how many of the lines that were."""
    notes = []
    if skipped:
        notes.append(f"{skipped:,} files of {what} were left out: too many or too large.")
    if broken:
        notes.append(f"Broken lines of {what} were skipped: {broken:,}.")
    return notes


def epochs_of(modes: Iterable[str]) -> Iterator[int]:
    """Yield the epoch of each step by its mode: another one each time training continues after a
    validation. A validation before the training begins none.
    """
    epoch, trained, before = 1, False, ""
    for mode in modes:
        epoch += trained and before == "EVAL" and mode == "TRAIN"
        trained, before = trained or mode == "TRAIN", mode
        yield epoch
