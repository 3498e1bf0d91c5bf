"""Which jobs start alike: those that one process with torch can be forked for."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from platforms.errors import WhippetError
from platforms.local.context import supervisor_environment
from platforms.local.own_command.command import own_command
from platforms.local.toolkit.entry_point import program
from platforms.local.warm_start.surroundings import surroundings

FOLDER = "warm"
INNER = Path(__file__).with_name("inner")
BOUNDARY = Path(__file__).parents[1] / "boundary"
# Read by the scripts, and by nothing before them.
_HARMLESS = (
    *("SM_*", "SAGEMAKER_*", "TRAINING_JOB_NAME", "TRAINING_JOB_ARN", "AWS_REGION"),
    *("SMDEBUG_CONFIG_FILE_PATH", "SMPROFILER_CONFIG_PATH", "CHECKPOINT_CONFIG_FILE_PATH"),
    *("CURRENT_HOST", "MASTER_PORT", "PYTHONPATH"),
)
_OUR_PROGRAMS = PurePosixPath("sm_entrypoints")


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmKind:
    """One job of those that start alike.

    Attributes:
        folder: where the process waits that they are forked from. program: its script, relative
        to the code folder. any_source: also if its source is not ours.
    """

    folder: Path
    program: PurePosixPath
    any_source: bool


def harmless(name: str) -> bool:
    """Tell whether nothing reads this variable before a job's script does."""
    return any(fnmatchcase(name, pattern) for pattern in _HARMLESS)


def kind_of(record: Mapping[str, Any], home: Path) -> WarmKind | None:
    """Return the kind of a training job; None for one that starts cold in any case."""
    local = record["Local"]
    setting = local.get("WarmStart", "off")
    boundary = local.get("Boundary") or {}
    if sys.platform != "linux" or boundary.get("Mechanism") != "namespaces":
        return None
    # Memory that forks share counts less than their own.
    limited = (local.get("Limits") or {}).get("job_memory") is not None
    if setting == "off" or limited or not boundary["Overlays"]:
        return None
    if own_command(record) or _has_gpu():
        return None
    try:
        name, inherited = program(record), surroundings()
    except (WhippetError, OSError):
        return None
    if name.suffix != ".py" or (setting == "ours" and name.parent != _OUR_PROGRAMS):
        return None
    key = _digest(record, inherited)
    return WarmKind(folder=home / FOLDER / key, program=name, any_source=setting == "all")


def _has_gpu() -> bool:
    """Tell whether torch could find a GPU; what its drivers keep over a fork is not known."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def _digest(record: Mapping[str, Any], inherited: Mapping[str, str]) -> str:
    variables = {**supervisor_environment(os.environ), **record.get("Environment", {})}
    ours = {str(path): _content(path) for folder in (INNER, BOUNDARY) for path in _files(folder)}
    parts = [
        *(record["Local"]["JobPython"], sys.executable, dict(inherited), ours),
        {key: text for key, text in variables.items() if not harmless(key)},
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.py"))


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
