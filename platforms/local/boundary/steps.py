"""What is placed where inside a boundary: one step per mount point, carried out in order.

Either ``enter.py`` carries out the steps, or :mod:`platforms.local.boundary.bubblewrap` turns them
into options.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """Show the file or folder ``source`` at ``target``, with everything mounted below it."""

    kind: ClassVar[str] = "bind"
    source: str
    target: str
    writable: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """Put an empty folder that lives in memory at ``target``."""

    kind: ClassVar[str] = "scratch"
    target: str
    mode: int = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Make a folder in what is at its parent."""

    kind: ClassVar[str] = "folder"
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Make a symbolic link at ``target``, unless something is there."""

    kind: ClassVar[str] = "link"
    text: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Show the folders ``lowers`` (topmost first) at ``target``; what is written goes to ``upper``.

    ``work`` is an empty folder beside ``upper``. Nothing ever changes in ``lowers``.
    """

    kind: ClassVar[str] = "overlay"
    lowers: tuple[str, ...]
    upper: str
    work: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """Mount the process file system of the new process ids."""

    kind: ClassVar[str] = "processes"
    target: str = "/proc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """Make a ``/dev`` of the harmless devices and of ``nodes``, with a ``/dev/shm`` of its own."""

    kind: ClassVar[str] = "devices"
    nodes: tuple[str, ...] = ()
    target: str = "/dev"


Step = Bind | Scratch | Folder | Link | Overlay | Processes | Devices


def fields(step: Step) -> dict[str, str]:
    """Return a step as ``enter.py`` reads it: text only, the members of a tuple numbered."""
    texts = {"kind": step.kind}
    for key, value in asdict(step).items():
        if isinstance(value, tuple):
            texts |= {f"{key}:{number}": text for number, text in enumerate(value)}
        elif isinstance(value, bool):
            texts[key] = "1" if value else ""
        else:
            texts[key] = f"{value:o}" if isinstance(value, int) else value
    return texts


def overlay(lowers: Sequence[Path], scratch: Path, target: Path | str) -> Overlay:
    """Return a copy-on-write view of ``lowers``; makes its two folders below ``scratch``."""
    upper, work = scratch / "upper", scratch / "work"
    for folder in (upper, work):
        folder.mkdir(parents=True, exist_ok=True)
    if lowers:
        # The kernel shows the upper folder's own mode at the top.
        upper.chmod(lowers[0].stat().st_mode & 0o7777)
    return Overlay(
        lowers=tuple(str(each) for each in lowers),
        upper=str(upper),
        work=str(work),
        target=str(target),
    )
