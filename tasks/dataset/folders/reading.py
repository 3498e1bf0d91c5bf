"""How to read a folder of pictures: what a person can specify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read a data folder.

    Attributes:
        splits: the folder of each split, relative to the data folder; empty: every folder is a
            class; None: find out by the names.
        convert_to: folder for converted pictures of other kinds; None: they are left out.
        skip_bad: leave out files that cannot be used, instead of refusing the folder.
        seed: of the splits that we make.
        valid_share: share of train that becomes valid when there is no such folder.
        test_share: share of train that becomes test when there is no such folder.
    """

    splits: Mapping[str, str] | None = None
    convert_to: Path | None = None
    skip_bad: bool = False
    seed: int = 0
    valid_share: float = 0.15
    test_share: float = 0.15
