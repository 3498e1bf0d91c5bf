"""What a job's configuration files ask of the instrumentation, read as smdebug reads them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

from sm_entrypoints.contract.hyperparameters import Instrumented
from sm_entrypoints.instrumentation.profiler.sampler import DEFAULT_INTERVAL_MS

# HookParameters of ours in DebugHookConfig; smdebug passes over them. Its own ``save_interval`` is
# for raw tensors, which cost far more than statistics: one number cannot serve both. Without a
# quota of ours a request for tensors is taken at its word.
STRIDE_PARAMETER = "whippet.save_interval"
QUOTA_PARAMETER = "whippet.quota_bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentationPlan:
    """What a job's configuration files ask for.

    ``interval_ms`` is None if the system is not sampled; ``hook_config`` is the
    ``debughookconfig.json``, if there is one. ``stride`` is the distance between two steps whose
    tensors are described; None adapts it to what it costs. ``quota_bytes`` is how much smdebug's
    tensors may take; None is no limit.
    """

    enabled: bool
    interval_ms: int | None = None
    hook_config: Path | None = None
    stride: int | None = None
    quota_bytes: int | None = None

    @classmethod
    def from_config(
        cls, config_dir: Path, requested: str, variables: Mapping[str, str] = os.environ
    ) -> Self:
        """Read the plan; ``auto`` is on when either file asks for something.

        ``SMPROFILER_CONFIG_PATH`` and ``SMDEBUG_CONFIG_FILE_PATH`` move the files, as for smdebug.

        Raises:
            ValueError: ``requested`` is not auto, on or off, or a file is not a JSON object.
            OSError: a file is there but cannot be read.
        """
        if requested not in get_args(Instrumented):
            raise ValueError(
                f"instrumentation={requested!r} is not one of {list(get_args(Instrumented))}"
            )
        if requested == "off":
            return cls(enabled=False)
        hook = Path(variables.get("SMDEBUG_CONFIG_FILE_PATH", config_dir / "debughookconfig.json"))
        profiler = Path(variables.get("SMPROFILER_CONFIG_PATH", config_dir / "profilerconfig.json"))
        config = _read_object(profiler)
        disabled = config is not None and str(config.get("disableprofiler")).lower() == "true"
        interval = (config or {}).get("profilingintervalinmilliseconds") or DEFAULT_INTERVAL_MS
        wanted = hook.is_file() or (config is not None and not disabled)
        return cls(
            enabled=wanted or requested == "on",
            interval_ms=None if disabled else int(interval),
            hook_config=hook if hook.is_file() else None,
            stride=_read_number(hook, STRIDE_PARAMETER),
            quota_bytes=_read_number(hook, QUOTA_PARAMETER),
        )


def _read_object(path: Path) -> dict[str, Any] | None:
    """Return a JSON object with lower-case keys (smdebug reads them so), or None without a file."""
    if not path.is_file():
        return None
    document = json.loads(path.read_text(encoding="utf-8") or "{}")
    if not isinstance(document, dict):
        raise ValueError(f"{path} must hold a JSON object")
    return {key.lower(): value for key, value in document.items()}


def _read_number(path: Path, name: str) -> int | None:
    """Return one of our HookParameters in a ``debughookconfig.json``, if it is there."""
    parameters = (_read_object(path) or {}).get("hookparameters")
    value = parameters.get(name) if isinstance(parameters, dict) else None
    if value is None:
        return None
    if not str(value).isdecimal() or int(value) < 1:
        raise ValueError(f"{path}: {name} must be a whole number from 1, not {value!r}")
    return int(value)
