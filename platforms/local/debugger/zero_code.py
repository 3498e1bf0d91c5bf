"""Add smdebug's hook to a job whose script may not ask for it (``sm_entrypoints/zero_code``).

Only if the request asks for tensors or for framework profiling: other jobs are not affected.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from platforms.local.job_tree import JobTree
from platforms.settings import PROJECT_ROOT

_SOURCES = PROJECT_ROOT / "sm_entrypoints" / "zero_code"


def wants_hook(request: Mapping[str, Any]) -> bool:
    """Tell whether the request asks for tensors, or for what smdebug profiles of the framework."""
    profiler = request.get("ProfilerConfig", {})
    return "DebugHookConfig" in request or bool(profiler.get("ProfilingParameters"))


def install(tree: JobTree, request: Mapping[str, Any]) -> None:
    """Copy the modules to ``tree.bootstrap``, where the job's Python finds them.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    if not wants_hook(request):
        return
    tree.bootstrap.mkdir(parents=True, exist_ok=True)
    for source in _SOURCES.glob("*.py"):
        if source.name != "__init__.py":
            shutil.copyfile(source, tree.bootstrap / source.name)
