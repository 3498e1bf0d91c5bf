"""A job environment whose packages import at once: for what depends on processes, not on torch."""

from __future__ import annotations

import sys
from pathlib import Path

from platforms.local.warm_start.imports import MODULES

TORCH = """
class default_generator:
    @staticmethod
    def seed():
        pass


class cuda:
    @staticmethod
    def is_initialized():
        return False
"""


def make_environment(folder: Path) -> Path:
    """Make one below ``folder``; return its interpreter."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    packages, scripts = folder / "lib" / f"python{version}" / "site-packages", folder / "bin"
    base = Path(sys.executable).resolve()
    scripts.mkdir(parents=True)
    packages.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {base.parent}\n", encoding="utf-8")
    (scripts / "python").symlink_to(base)
    for name in MODULES:
        if name == "resource":
            continue
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            at = packages.joinpath(*parts[:count])
            at.mkdir(exist_ok=True)
            (at / "__init__.py").touch()
    (packages / "torch" / "__init__.py").write_text(TORCH, encoding="utf-8")
    return scripts / "python"


def torch_of(python: Path) -> Path:
    """Return the file of the environment's torch."""
    (found,) = python.parent.parent.glob("lib/*/site-packages/torch/__init__.py")
    return found
