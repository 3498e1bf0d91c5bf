"""The place that a job's ``pip`` installs to, private to the job.

Where possible it is copy-on-write: a view of the job environment in which anything can be
installed, upgraded and uninstalled without reaching the environment itself. Elsewhere it is a
virtual environment of the job's own on top of the job environment: what is installed there comes
first, and what is below stays.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platforms.local.boundary.job_python import JobPython
from platforms.local.boundary.steps import Bind, Step, overlay

_SEEN = Path("/opt/job-python")
_SEEN_SCRIPTS = Path("/opt/job-scripts")
_SEEN_LAYER = Path("/opt/job-requirements")
# Finds the first `python` on PATH: that of the job, whichever it is.
SHEBANG = b"#!/usr/bin/env python\n"
_PIP = b"import sys\nfrom pip._internal.cli.main import main\n\nsys.exit(main())\n"
_MOST_SCRIPT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How the job environment is shown to one process.

    Attributes:
        python: the interpreter, as the process names it.
        path: what comes first on ``PATH``.
        written: where what is installed ends up on this machine.
    """

    python: str
    path: tuple[str, ...]
    written: Path
    steps: tuple[Step, ...] = ()


def is_copy_on_write(python: JobPython, *, overlays: bool, home: Path) -> bool:
    """Tell whether the whole environment can be shown copy-on-write."""
    inside = home.resolve().is_relative_to(Path(python.prefix).resolve())
    return overlays and python.is_ours and not inside


def copy_on_write(python: JobPython, scratch: Path, layer: Path | None) -> Place:
    """Return the environment, over it what ``layer`` installed, and over that the job's own."""
    prefix = Path(python.prefix).resolve()
    lowers = [prefix] if layer is None else [layer, prefix]
    step = overlay(lowers, scratch / "python", prefix)
    scripts = Path(python.scripts)
    if scripts.resolve().is_relative_to(prefix):
        _add_pip(Path(step.upper) / scripts.resolve().relative_to(prefix), unless=scripts)
    return Place(
        python=python.executable,
        path=(str(scripts),),
        written=Path(step.upper),
        steps=(step,),
    )


def layered(
    python: JobPython, scratch: Path, layer: Path | None, *, shared: Path, contained: bool
) -> Place:
    """Return a virtual environment on top of the job environment and of ``layer``."""
    folder, scripts = scratch / "python", shared / "scripts" / python.identity[:16]
    _collect_scripts(Path(python.scripts), scripts)
    seen, seen_scripts, seen_layer = folder, scripts, layer
    steps: tuple[Step, ...] = ()
    if contained:
        seen, seen_scripts = _SEEN, _SEEN_SCRIPTS
        seen_layer = None if layer is None else _SEEN_LAYER
        steps = tuple(_shown(folder, scripts, layer))
    below = [str(site(seen_layer, python))] if seen_layer is not None else []
    make_environment(folder, python, [*below, *python.packages])
    paths = [seen, *([seen_layer] if seen_layer is not None else [])]
    return Place(
        python=str(seen / "bin" / "python"),
        path=(*(str(each / "bin") for each in paths), str(seen_scripts)),
        written=folder,
        steps=steps,
    )


def _shown(folder: Path, scripts: Path, layer: Path | None) -> list[Step]:
    steps: list[Step] = [
        Bind(source=str(folder), target=str(_SEEN), writable=True),
        Bind(source=str(scripts), target=str(_SEEN_SCRIPTS)),
    ]
    if layer is not None:
        steps.append(Bind(source=str(layer), target=str(_SEEN_LAYER)))
    return steps


def site(folder: Path, python: JobPython) -> Path:
    """Return the folder that packages lie in, of a virtual environment at ``folder``."""
    return folder / "lib" / f"python{python.version}" / "site-packages"


def make_environment(folder: Path, python: JobPython, below: Sequence[str]) -> None:
    """Make a virtual environment that also imports from ``below``, as ``venv`` would."""
    packages, scripts = site(folder, python), folder / "bin"
    for each in (packages, scripts):
        each.mkdir(parents=True, exist_ok=True)
    base = Path(python.base_executable)
    (folder / "pyvenv.cfg").write_text(
        f"home = {base.parent}\ninclude-system-site-packages = false\nversion = {python.version}\n",
        encoding="utf-8",
    )
    for name in ("python", "python3", f"python{python.version}"):
        link = scripts / name
        if not link.is_symlink():
            link.symlink_to(base)
    # A line that starts with `import` is run: it reads the .pth files there as well.
    lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in below)
    (packages / "_job_environment.pth").write_text(lines, encoding="utf-8")


def _collect_scripts(source: Path, target: Path) -> None:
    """Copy the programs that Python packages brought, made to run under any job's ``python``."""
    if target.is_dir():
        return
    staging = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    _add_pip(staging, unless=source)
    for path in source.iterdir() if source.is_dir() else ():
        text = retargeted(path)
        if text is not None:
            copy = staging / path.name
            copy.write_bytes(text)
            copy.chmod(0o755)
    try:
        staging.rename(target)
    except OSError:  # Somebody else was faster.
        shutil.rmtree(staging)


def _add_pip(folder: Path, *, unless: Path) -> None:
    """Make a ``pip``, or PATH would lead to that of another Python."""
    if (unless / "pip").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pip", "pip3"):
        (folder / name).write_bytes(SHEBANG + _PIP)
        (folder / name).chmod(0o755)


def retargeted(path: Path) -> bytes | None:
    """Return a Python script with a first line for the job's ``python``; None if it is none."""
    try:
        if not path.is_file() or path.is_symlink() or path.stat().st_size > _MOST_SCRIPT_BYTES:
            return None
        text = path.read_bytes()
    except OSError:
        return None
    first, newline, rest = text.partition(b"\n")
    if not first.startswith(b"#!"):
        return None
    if first == b"#!/bin/sh" and rest.startswith(b"'''exec'"):
        # pip's way around long paths: a line of shell that Python reads as a string.
        return SHEBANG + rest.partition(b"\n' '''\n")[2]
    words = shlex.split(first[2:].decode("utf-8", "replace"))
    if not words or not Path(words[0]).name.startswith("python"):
        return None
    return SHEBANG + rest if newline else None
