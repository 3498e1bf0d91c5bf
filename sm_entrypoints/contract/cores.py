"""How many of the machine's cores a process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Return how many cores this process may use: a container's cpuset may be smaller."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
