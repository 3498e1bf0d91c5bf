"""Tell Whippet's own source from others: what it does when it is imported is known."""

from __future__ import annotations

from pathlib import Path

from platforms.job_environment import ENTRY_POINTS
from platforms.settings import PROJECT_ROOT

_REQUIREMENTS = "requirements.txt"


def is_our_source(code: Path) -> bool:
    """Tell whether a code folder has nothing but files of this very project."""
    try:
        return all(
            path.read_bytes() == _original(path.relative_to(code)).read_bytes()
            for path in code.rglob("*")
            if not path.is_dir() or path.is_symlink()
        )
    except OSError:
        return False


def _original(name: Path) -> Path:
    return ENTRY_POINTS / _REQUIREMENTS if str(name) == _REQUIREMENTS else PROJECT_ROOT / name
