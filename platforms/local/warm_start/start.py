"""Start a job from the process that waits for it, where it may and where there is one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from platforms.local.boundary.enclosure import Enclosure, Prepared
from platforms.local.boundary.view import ML
from platforms.local.debugger.zero_code import wants_hook
from platforms.local.job_tree import JobTree
from platforms.local.warm_start.child import Refusal, WarmChild
from platforms.local.warm_start.kind import WarmKind, kind_of
from platforms.local.warm_start.source import is_our_source
from platforms.processes.child import Child

_DECLINED = "declined"
# What a process with torch takes, and room for jobs beside it.
LEAST_FREE_BYTES = 2 * 1024**3


class WarmStart:
    """The warm start of one job; ``child`` waits for it since this supervisor was started."""

    def __init__(self, child: WarmChild | None, *, stopped: Callable[[], bool]) -> None:
        self._child = child
        self._stopped = stopped

    def begin(
        self, record: Mapping[str, Any], tree: JobTree, enclosure: Enclosure, prepared: Prepared
    ) -> Child | None:
        """Return the job's process; None when it must be started cold: nothing has run then."""
        kind = kind_of(record, enclosure.home)
        child, self._child = self._child, None
        if kind is None or not _suits(kind, record, tree, enclosure, prepared):
            if child is not None:
                child.end()
            return None
        try:
            child = child or _begun(kind, enclosure, prepared)
        except OSError as error:
            print(f"no warm start: {error}", flush=True)
        if child is None:
            return None
        code = tree.code
        folders = sorted({code, (code / kind.program).parent})
        process = child.become(prepared, ML / "code" / kind.program, folders, self._stopped)
        if not isinstance(process, Refusal):
            return process
        print(f"no warm start: {process.reason}", flush=True)
        with suppress(OSError):
            if process.always:
                declined = kind.folder / _DECLINED
                declined.write_text(enclosure.python.identity, encoding="utf-8")
        return None


def _suits(
    kind: WarmKind,
    record: Mapping[str, Any],
    tree: JobTree,
    enclosure: Enclosure,
    prepared: Prepared,
) -> bool:
    """Tell whether nothing but what the copy has imported decides how a script begins."""
    return (
        suits_python(enclosure)
        and enclosure.layer is None
        and prepared.order is not None
        and list(prepared.inner[1:2]) == [str(kind.program)]
        and prepared.environment.get("PYTHONPATH") == _python_path(tree, record)
        and (kind.any_source or is_our_source(tree.code))
    )


def _python_path(tree: JobTree, record: Mapping[str, Any]) -> str:
    """Return where a job imports from that names no other places itself."""
    bootstrap = tree.as_seen(contained=True).bootstrap
    return os.pathsep.join([str(ML / "code"), *([str(bootstrap)] if wants_hook(record) else [])])


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
    return WarmChild.begun(kind, prepared)
