"""Tell Whippet's own source from others: what it does when it is imported is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from platforms.job_environment import ENTRY_POINTS
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract import INFERENCE_PROGRAM, REQUIREMENTS_FILE


def is_our_source(code: Path) -> bool:
    """Tell whether a code folder has nothing but files of this very project."""
    return _all_same(code, _original)


def _all_same(code: Path, original: Callable[[Path], Path]) -> bool:
    try:
        return all(
            path.read_bytes() == original(path.relative_to(code)).read_bytes()
            for path in code.rglob("*")
            if not path.is_dir() or path.is_symlink()
        )
    except OSError:
        return False


def is_our_model_code(code: Path) -> bool:
    """Tell the same of the ``code`` folder of a model that a job of this very project delivered."""
    return _all_same(code, _original_of_model)


def _original_of_model(name: Path) -> Path:
    if name == Path(REQUIREMENTS_FILE):
        return ENTRY_POINTS / "serving" / REQUIREMENTS_FILE
    return ENTRY_POINTS / name if name == Path(INFERENCE_PROGRAM) else PROJECT_ROOT / name


def _original(name: Path) -> Path:
    return ENTRY_POINTS / name if name == Path(REQUIREMENTS_FILE) else PROJECT_ROOT / name
