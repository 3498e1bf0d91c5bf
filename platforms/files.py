"""Files of the orchestrator that are either the old one or the new one; see :func:`replacing`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sm_entrypoints.contract.files import replacing, write_atomically

__all__ = ["point_to", "read_json", "replacing", "write_atomically", "write_json"]


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` with ``value`` as readable JSON; paths and dates as text."""
    text = json.dumps(value, indent=2, default=str, ensure_ascii=False)
    write_atomically(path, text.encode() + b"\n")


def read_json(path: Path) -> Any:
    """Return the JSON of ``path``."""
    return json.loads(path.read_text(encoding="utf-8"))


def point_to(link: Path, target: Path) -> None:
    """Make ``link`` a symbolic link to its sibling ``target``, atomically."""
    with replacing(link) as fresh:
        fresh.symlink_to(target.name)
