"""Tell Whippet's own source from others: what it does when it is imported is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from platforms.job_environment import ENTRY_POINTS
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract import INFERENCE_PROGRAM, REQUIREMENTS_FILE


def is_our_source(code: Path) -> bool:
    """Tell whether a code folder has nothing but files of this very project."""
    return _all_same(code, {REQUIREMENTS_FILE: ENTRY_POINTS / REQUIREMENTS_FILE})


def is_our_model_code(code: Path) -> bool:
    """Tell the same of the ``code`` folder of a model that a job of this very project delivered."""
    moved = {
        REQUIREMENTS_FILE: ENTRY_POINTS / "serving" / REQUIREMENTS_FILE,
        INFERENCE_PROGRAM: ENTRY_POINTS / INFERENCE_PROGRAM,
    }
    return _all_same(code, moved)


def _all_same(code: Path, moved: Mapping[str, Path]) -> bool:
    """Compare files with those of the project, of which ``moved`` have another place there."""
    try:
        found = (each for each in code.rglob("*") if not each.is_dir() or each.is_symlink())
        return all(
            (code / name).read_bytes() == moved.get(str(name), PROJECT_ROOT / name).read_bytes()
            for name in (each.relative_to(code) for each in found)
        )
    except OSError:
        return False
