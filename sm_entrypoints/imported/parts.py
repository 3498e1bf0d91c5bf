"""Find the files of smdebug, SageMaker's profiler or train.py below a folder.

Nothing in such a folder is trusted: links are not followed, and the walk is bounded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sm_entrypoints.contract import (
    EVALUATION_FILE,
    INSTRUMENTATION_FOLDER,
    METRICS_FILE,
    REDUCTIONS_FILE,
    STEPS_FILE,
    SYSTEM_FOLDER,
    TRAINING_SUMMARY_FILE,
)
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.rules.catalogue import CPU_RULES

# In a folder that `whippet explain` wrote: it is passed over when it lies below another one.
MARKER_FILE = "explained.json"
MAX_DEPTH = 8
# A folder of 10^4 saved steps has 10^4 folders in events/; those are not entered.
MAX_FOLDERS = 20_000
LOOKED_FOR = (
    "smdebug's tensors (collections/, index/ and events/, often in debug-output/), the profiler's "
    "system metrics (system/incremental/<hour>/*.json), its framework events (pevents/<hour>/"
    "*_model_timeline.json), SageMaker's own report (profiler-reports/*.json), and the output of a "
    "Whippet job (instrumentation/, metrics.jsonl)"
)
# Two of the eleven files of a report, whatever its folder is called.
_REPORTED = ("CPUBottleneck.json", "OverallSystemUsage.json")
_KINDS = ("tensors", "system", "events", "own", "reports")
_OWN_FILES = (TRAINING_SUMMARY_FILE, METRICS_FILE, EVALUATION_FILE)


class ExplainError(JobError):
    """Raised when there is nothing to explain, or more than one job; says what to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Folders of one job; None for what is not there, and ``reports`` of SageMaker's own rules.

    ``tensors`` holds index/ and events/; ``system`` and ``events`` hold a folder an hour;
    ``own`` is what a Whippet job packed into output.tar.gz.
    """

    tensors: Path | None = None
    system: Path | None = None
    events: Path | None = None
    own: Path | None = None
    reports: tuple[Path, ...] = ()

    @property
    def named(self) -> dict[str, str]:
        """The parts that are there, by what people call them."""
        names = {
            "saved tensors": self.tensors,
            "system metrics": self.system,
            "framework events": self.events,
            "a Whippet job's output": self.own,
            "SageMaker's ProfilerReport": next(iter(self.reports), None),
        }
        return {name: str(path) for name, path in names.items() if path is not None}


def find_parts(roots: Sequence[Path], *, allow_nothing: bool = False) -> Parts:
    """Return the parts of the one job that lies in the folders ``roots`` or below them.

    Raises:
        ExplainError: nothing is there (unless ``allow_nothing``), or there are several parts of
            one kind: several jobs.
        OSError: a folder cannot be read.
    """
    by_kind: dict[str, list[Path]] = {kind: [] for kind in _KINDS}
    for root in roots:
        for folder in _folders(root.resolve()):
            for kind in _kinds(folder):
                by_kind[kind].append(folder)
    # Local jobs leave the system metrics twice: beside their output and in it.
    inside = [
        path for path in by_kind["system"] for own in by_kind["own"] if path == own / SYSTEM_FOLDER
    ]
    by_kind["system"] = inside or by_kind["system"]
    # A job may have several reports; those in a Whippet job's output are ours.
    reports = tuple(path for path in by_kind.pop("reports") if not _is_ours(path))
    several = {kind: folders for kind, folders in by_kind.items() if len(folders) > 1}
    for folders in several.values():
        names = ", ".join(repr(str(folder)) for folder in folders[:3])
        raise ExplainError(
            f"{str(roots[0])!r} holds {len(folders)} jobs ({names}{', …' * (len(folders) > 3)}): "
            "give the folder of one of them"
        )
    if not any(by_kind.values()) and not reports and not allow_nothing:
        raise ExplainError(f"{str(roots[0])!r} has nothing to explain. Looked for {LOOKED_FOR}")
    parts = {kind: folders[0] for kind, folders in by_kind.items() if folders}
    return Parts(**parts, reports=reports)


def _folders(root: Path) -> Iterator[Path]:
    """Yield ``root`` and the folders below it that may be or hold a part, in a fixed order."""
    visited = 0
    for path, names, _ in os.walk(root, onerror=_fail if root.is_file() else None):
        folder = Path(path)
        visited += 1
        if visited > MAX_FOLDERS:
            raise ExplainError(
                f"{str(root)!r} has more than {MAX_FOLDERS:,} folders: give the folder of one job"
            )
        if folder != root and (folder / MARKER_FILE).is_file():
            names.clear()
            continue
        yield folder
        deep = len(folder.relative_to(root).parts) >= MAX_DEPTH
        inside = [] if deep or folder.name in ("events", "index") else sorted(names)
        names[:] = [name for name in inside if not name.startswith(".")]


def _is_ours(folder: Path) -> bool:
    """Whether a report is of a Whippet job: in its output, or with rules that only we have."""
    inside = (folder.parent.parent / INSTRUMENTATION_FOLDER).is_dir()
    return inside or any((folder / f"{rule.name}.json").is_file() for rule in CPU_RULES)


def _fail(error: OSError) -> None:
    raise error


def _kinds(folder: Path) -> Iterator[str]:
    if (folder / "index").is_dir() and (folder / "events").is_dir():
        yield "tensors"
    if folder.name == "incremental" or (folder.name == "system" and _has_hours(folder)):
        yield "system"
    if folder.name == "pevents":
        yield "events"
    if folder.name == "profiler-reports" or all((folder / f).is_file() for f in _REPORTED):
        yield "reports"
    inside = folder / INSTRUMENTATION_FOLDER
    instrumented = any((inside / name).is_file() for name in (REDUCTIONS_FILE, STEPS_FILE))
    if instrumented or any((folder / name).is_file() for name in _OWN_FILES):
        yield "own"


def _has_hours(folder: Path) -> bool:
    """Whether a folder named system is what ``incremental`` is elsewhere: a folder an hour."""
    return any(path.name.isdigit() and len(path.name) == 10 for path in folder.iterdir())
