"""The files of the repository, and the product's modules: read and parsed once a process."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.house import parsed, walked

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cli", "flows", "tasks", "platforms", "dashboards", "sm_entrypoints")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tracked() -> list[Path]:
    """Return the files that git would commit, without those that are ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:  # an unpacked archive of the sources
        found = [path for path in ROOT.rglob("*") if "/." not in str(path.relative_to(ROOT))]
        return [path for path in found if path.is_file() and "__pycache__" not in path.parts]
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def relative(path: Path) -> str:
    """Return a file's path from the root of the repository, with slashes."""
    return path.relative_to(ROOT).as_posix()


SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FACES = [path for path in SOURCES if path.name == "__init__.py"]


@cache
def text(path: Path) -> str:
    """Return what a file of the repository says."""
    return path.read_text("utf-8")


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return parsed(text(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return every node of a module: many checks look at all."""
    return walked(tree(path))


def package(path: Path) -> str:
    """Return the top-level package of a module."""
    return path.relative_to(ROOT).parts[0]


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Return the dotted names of everything that a module imports, deferred imports too."""
    names = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


@cache
def functions(path: Path) -> tuple[tuple[str, Function], ...]:
    """Return every function of a module with its qualified name."""

    def inside(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                continue  # it holds lambdas only
            if isinstance(child, Function):
                yield f"{prefix}{child.name}", child
            if isinstance(child, Function | ast.ClassDef):
                yield from inside(child, f"{prefix}{child.name}.")
            else:
                yield from inside(child, prefix)

    return tuple(inside(tree(path), f"{relative(path)}:"))
