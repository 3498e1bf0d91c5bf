"""Find ``/opt/ml`` in a job's source: without a boundary, such paths are the machine's own."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract.strangers.archives import BrokenArchive, bounded

_ROOT = "/opt/ml"
_MOST_BYTES = 1024 * 1024
_MOST_FILES = 2000
# `os.environ.get("SM_MODEL_DIR", "/opt/ml/model")`: the variable is there, the rest is not used.
_WITH_DEFAULT = frozenset({"get", "getenv", "setdefault", "pop"})


def hard_coded_paths(archive: Path) -> list[str]:
    """Return ``file:line`` of each path below ``/opt/ml`` that a source archive would use.

    Defaults for variables that are always set do not count, nor does our own package. An unreadable
    archive has none: the code that extracts it reports why.
    """
    places: list[str] = []
    try:
        with bounded(archive) as members:
            for number, member in enumerate(members):
                if number >= _MOST_FILES:
                    break
                if member.isfile() and member.name.endswith(".py") and member.size <= _MOST_BYTES:
                    file = members.open(member)
                    text = file.read() if file is not None else b""
                    if _ROOT.encode() in text and not _is_ours(member.name, text):
                        places += [f"{member.name}:{line}" for line in sorted(set(_lines(text)))]
    except (OSError, BrokenArchive):
        return []
    return places


def _is_ours(name: str, text: bytes) -> bool:
    try:
        return (PROJECT_ROOT / name).read_bytes() == text
    except (OSError, ValueError):
        return False


def _lines(text: bytes) -> Iterator[int]:
    """Yield the lines of the constants that name such a path, but those that only describe it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the user's escapes in strings
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    harmless = {id(each) for node in ast.walk(tree) for each in _harmless(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = node.value == _ROOT or node.value.startswith(f"{_ROOT}/")
            if named and id(node) not in harmless:
                yield node.lineno


def _harmless(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Expr):
        yield node.value
    if isinstance(node, ast.Call) and len(node.args) > 1:
        name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
        if name in _WITH_DEFAULT:
            yield node.args[1]


def hard_coded_notice(archive: Path) -> str | None:
    """Say which paths of a source archive would be the machine's; None when none would."""
    places = hard_coded_paths(archive)
    if not places:
        return None
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return (
        f"the source names /opt/ml ({', '.join(places[:3])}{more}), and this machine has no "
        "boundary that gives the job one: what it writes there stays here and reaches no bucket. "
        "Use SM_MODEL_DIR, SM_CHANNEL_* and the like; see docs/boundary.md"
    )
