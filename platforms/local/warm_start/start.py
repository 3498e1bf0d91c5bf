"""Start a job or a model server from the process that waits for it, where that may be."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from platforms.local.boundary.enclosure import Enclosure, Prepared
from platforms.local.boundary.view import ML
from platforms.local.debugger.zero_code import wants_hook
from platforms.local.job_tree import JobTree
from platforms.local.toolkit.entry_point import program
from platforms.local.warm_start.child import Refusal, WarmChild
from platforms.local.warm_start.kind import WarmKind
from platforms.local.warm_start.source import is_our_source
from platforms.processes.child import Child

_DECLINED = "declined"
# What a process with torch takes, and room for jobs beside it.
LEAST_FREE_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmProgram:
    """What a warm start may become.

    Attributes:
        name: as the interpreter gets it. script: its full path inside the boundary. python_path:
        the only PYTHONPATH that may be. folders: of this machine, from which it imports. is_ours:
        tells whether all that it imports is this project's.
    """

    name: str
    script: Path
    python_path: str
    folders: tuple[Path, ...]
    is_ours: Callable[[], bool]

    @classmethod
    def of_job(cls, record: Mapping[str, Any], tree: JobTree) -> WarmProgram:
        """Return the entry point of a training job."""
        name, code = program(record), tree.code
        bootstrap = tree.as_seen(contained=True).bootstrap
        beside = [str(bootstrap)] if wants_hook(record) else []
        return cls(
            name=str(name),
            script=ML / "code" / name,
            python_path=os.pathsep.join([str(ML / "code"), *beside]),
            folders=tuple(sorted({code, (code / name).parent})),
            is_ours=partial(is_our_source, code),
        )


class WarmStart:
    """The warm start of one process; ``child`` waits for it since this supervisor was started."""

    def __init__(self, child: WarmChild | None, *, stopped: Callable[[], bool]) -> None:
        self._child = child
        self._stopped = stopped

    def begin(
        self,
        kind: WarmKind | None,
        what: WarmProgram | None,
        enclosure: Enclosure,
        prepared: Prepared,
    ) -> Child | None:
        """Return the process; None when it must be started cold: nothing has run then."""
        child, self._child = self._child, None
        if kind is None or what is None or not _suits(kind, what, enclosure, prepared):
            if child is not None:
                child.end()
            return None
        try:
            child = child or _begun(kind, enclosure, prepared)
        except OSError as error:
            print(f"no warm start: {error}", flush=True)
        if child is None:
            return None
        process = child.become(prepared, what.script, what.folders, self._stopped)
        if not isinstance(process, Refusal):
            return process
        print(f"no warm start: {process.reason}", flush=True)
        with suppress(OSError):
            if process.always:
                declined = kind.folder / _DECLINED
                declined.write_text(enclosure.python.identity, encoding="utf-8")
        return None


def _suits(kind: WarmKind, what: WarmProgram, enclosure: Enclosure, prepared: Prepared) -> bool:
    """Tell whether nothing but what the copy has imported decides how a script begins."""
    return (
        suits_python(enclosure)
        and enclosure.layer is None
        and prepared.order is not None
        and list(prepared.inner[1:2]) == [what.name]
        and prepared.environment.get("PYTHONPATH") == what.python_path
        and (kind.any_source or what.is_ours())
    )


def suits_python(enclosure: Enclosure) -> bool:
    """Tell whether jobs of this Python see its own packages, and it starts no other way."""
    return enclosure.copy_on_write and not _is_text(enclosure.python.executable)


def _is_text(executable: str) -> bool:
    """Tell whether a program sets something up, for each job, before it becomes Python."""
    with Path(executable).open("rb") as file:
        return file.read(2) == b"#!"


def _begun(kind: WarmKind, enclosure: Enclosure, prepared: Prepared) -> WarmChild | None:
    """Start the first process of a kind, unless it would be of no use."""
    try:
        declined = (kind.folder / _DECLINED).read_text(encoding="utf-8")
    except OSError:
        declined = ""
    if declined == enclosure.python.identity:
        return None
    if psutil.virtual_memory().available < LEAST_FREE_BYTES:
        return None
    if not prepared.group:  # It would stay in the group of this one, and so would its copy.
        return None
    return WarmChild.begun(kind, prepared)
