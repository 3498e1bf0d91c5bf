"""Copy the output of a Whippet job, so that it can be judged again without changing it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from sm_entrypoints.contract import (
    EVALUATION_FILE,
    INSTRUMENTATION_FOLDER,
    METRICS_FILE,
    MISTAKES_FILE,
    MISTAKES_FOLDER,
    PREDICTIONS_FILE,
    TRAINING_SUMMARY_FILE,
)
from sm_entrypoints.imported.parts import ExplainError

MAX_BYTES = 500_000_000
_FILES = (
    TRAINING_SUMMARY_FILE,
    METRICS_FILE,
    EVALUATION_FILE,
    PREDICTIONS_FILE,
    MISTAKES_FILE,
)


def copy_output(source: Path, target: Path) -> None:
    """Copy what rules and report read; links are left out.

    Raises:
        ExplainError: it is unexpected to be a job's output. OSError: a file cannot be read or
        written.
    """
    files = list(_known_files(source))
    size = sum(path.stat().st_size for path in files)
    if size > MAX_BYTES:
        raise ExplainError(
            f"the output in {str(source)!r} has {size / 1e6:,.0f} MB, more than "
            f"{MAX_BYTES / 1e6:,.0f}: this is not output of train.py"
        )
    for path in files:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _known_files(source: Path) -> Iterator[Path]:
    candidates = [source / name for name in _FILES]
    for folder in (INSTRUMENTATION_FOLDER, MISTAKES_FOLDER):
        candidates += sorted((source / folder).glob("*"))
    for path in candidates:
        if path.is_file() and not path.is_symlink() and not path.parent.is_symlink():
            yield path
