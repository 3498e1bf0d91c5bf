"""What a process inherits and keeps: a job gets it of its supervisor, and that of its client.

A warm start would get it of the process that was started first. So it must be the same.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

_STATUS = (
    *("Umask", "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"),
    *("NoNewPrivs", "Seccomp", "SigBlk", "SigIgn", "Cpus_allowed", "Mems_allowed"),
)
_FILES = ("cgroup", "limits", "oom_score_adj", "coredump_filter", "loginuid")
# Python ignores them itself, and gives them back to what it starts.
_PYTHONS = (signal.SIGPIPE, signal.SIGXFSZ)


def surroundings() -> dict[str, str]:
    """Return everything that a process started by this thread would inherit, but its environment.

    Raises:
        OSError: this is not Linux, or ``/proc`` is not there.
    """
    found = {}
    for line in Path("/proc/thread-self/status").read_text(encoding="utf-8").splitlines():
        name, _, text = line.partition(":")
        if name in _STATUS:
            found[name] = text.strip()
    ignored = int(found["SigIgn"], 16)
    for number in _PYTHONS:
        ignored &= ~(1 << (number - 1))
    found["SigIgn"] = f"{ignored:x}"
    for name in _FILES:
        file = Path("/proc/self", name)
        found[name] = file.read_text(encoding="utf-8") if file.exists() else ""
    for link in sorted(Path("/proc/self/ns").iterdir()):
        found[f"ns/{link.name}"] = str(link.readlink())
    found["root"] = str(Path("/proc/self/root").readlink())
    found["nice"] = f"{os.getpriority(os.PRIO_PROCESS, 0)} {os.sched_getscheduler(0)}"
    return found
