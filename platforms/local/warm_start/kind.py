"""Which jobs and model servers start alike: those that one process with torch can be forked for."""

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
from platforms.local.context import LocalContext, supervisor_environment
from platforms.local.own_command.command import own_command
from platforms.local.toolkit.entry_point import program
from platforms.local.warm_start.surroundings import surroundings

FOLDER = "warm"
INNER = Path(__file__).with_name("inner")
BOUNDARY = Path(__file__).parents[1] / "boundary"
# Read by the scripts, and by nothing before them.
_HARMLESS = (
    *("SM_*", "SAGEMAKER_*", "WHIPPET_*", "TRAINING_JOB_NAME", "TRAINING_JOB_ARN", "AWS_REGION"),
    *("SMDEBUG_CONFIG_FILE_PATH", "SMPROFILER_CONFIG_PATH", "CHECKPOINT_CONFIG_FILE_PATH"),
    *("CURRENT_HOST", "MASTER_ADDR", "MASTER_PORT", "NCCL_IB_DISABLE", "PYTHONPATH"),
)
_OUR_PROGRAMS = PurePosixPath("sm_entrypoints")


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmKind:
    """One of those that start alike.

    Attributes:
        folder: where the process waits that they are forked from. any_source: also if the source
        is not ours.
    """

    folder: Path
    any_source: bool


def harmless(name: str) -> bool:
    """Tell whether nothing reads this variable before a job's script does."""
    return any(fnmatchcase(name, pattern) for pattern in _HARMLESS)


def kind_of(record: Mapping[str, Any], home: Path) -> WarmKind | None:
    """Return the kind of a training job; None for one that starts cold in any case."""
    local = record["Local"]
    setting = local.get("WarmStart", "off")
    if not _may_start(local) or own_command(record):
        return None
    try:
        name, inherited = program(record), surroundings()
    except (WhippetError, OSError):
        return None
    if name.suffix != ".py" or (setting == "ours" and name.parent != _OUR_PROGRAMS):
        return None
    key = _digest(record, inherited)
    return WarmKind(folder=home / FOLDER / key, any_source=setting == "all")


def server_kind(context: LocalContext, environment: Mapping[str, str]) -> WarmKind | None:
    """Return the kind of a model server whose container has this environment; None as above."""
    local = {**context.to_record(), "Boundary": context.boundary().to_record()}
    if not _may_start(local):
        return None
    try:
        inherited = surroundings()
    except OSError:
        return None
    key = _digest({"Local": local, "Environment": environment}, inherited)
    return WarmKind(folder=context.home / FOLDER / key, any_source=local["WarmStart"] == "all")


def _may_start(local: Mapping[str, Any]) -> bool:
    """Tell whether this machine and these settings know warm starts."""
    boundary = local.get("Boundary") or {}
    if sys.platform != "linux" or boundary.get("Mechanism") != "namespaces":
        return False
    # Memory that forks share counts less than their own.
    limited = (local.get("Limits") or {}).get("job_memory") is not None
    off = local.get("WarmStart", "off") == "off"
    return bool(boundary["Overlays"]) and not off and not limited and not _has_gpu()


def _has_gpu() -> bool:
    """Tell whether torch could find a GPU; what its drivers keep over a fork is not known."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def _digest(record: Mapping[str, Any], inherited: Mapping[str, str]) -> str:
    variables = {**supervisor_environment(os.environ), **record.get("Environment", {})}
    files = [path for folder in (INNER, BOUNDARY) for path in folder.glob("*.py")]
    ours = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    parts = [
        *(record["Local"]["JobPython"], sys.executable, dict(inherited), ours),
        {key: text for key, text in variables.items() if not harmless(key)},
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
