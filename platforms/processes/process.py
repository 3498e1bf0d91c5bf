"""Detached processes: start one that outlives us, check whether it lives, end it with its group."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from platforms.errors import WhippetError
from platforms.processes.marks import end_marked
from sm_entrypoints.contract.kill_points import reach

_LAUNCHER = Path(__file__).with_name("launch.py")
_LAUNCH_SECONDS = 60.0
_POLL_SECONDS = 0.05
_KILL_SECONDS = 10.0
# Where there is no /proc, a start time moves a little when the clock is set.
_CLOCK_SECONDS = 2.0


class ProcessError(WhippetError):
    """Raised when a process could not be started, or outlived SIGKILL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """One process for all time: a recycled pid has another start time, or is of another boot.

    Attributes:
        pid: also the id of its process group and session.
        started: seconds from boot to its start (without /proc: unix seconds); 0 when it was
            over before anyone could look.
        boot: the kernel's name of the boot that it ran in; empty in older records, and where the
            kernel has none. After a restart another process may have both pid and start time.
    """

    pid: int
    started: float
    boot: str = ""

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"Pid": self.pid, "Started": self.started, "Boot": self.boot}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ProcessId:
        """Return what :meth:`to_record` wrote."""
        return cls(
            pid=int(record["Pid"]),
            started=float(record["Started"]),
            boot=str(record.get("Boot", "")),
        )

    @property
    def mark(self) -> str:
        """What tells the processes that it started: see :mod:`platforms.processes.marks`."""
        return f"{self.boot}/{self.pid}/{self.started:.2f}"

    @property
    def before_restart(self) -> bool:
        """Whether the machine was started again since: then nothing of it runs."""
        return bool(self.boot) and self.boot != _boot()


def spawn_detached(
    argv: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path
) -> ProcessId:
    """Start a process that is not our child, and return when it exists.

    It leads a session and a process group of its own, reads nothing, and appends stdout and
    stderr to ``log``. ``env`` is all of its environment.

    Raises:
        ProcessError: it cannot be started; names the command and the reason.
    """
    order = {"argv": list(argv), "env": dict(env), "log": str(log), "cwd": str(cwd)}
    launched = subprocess.run(
        # Isolated and without site-packages: the launcher needs the standard library only.
        [sys.executable, "-I", "-S", str(_LAUNCHER)],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=_LAUNCH_SECONDS,
        check=False,
    )
    if launched.returncode != 0:
        raise ProcessError(f"cannot start {argv[0]!r}: {launched.stderr.strip()[-500:]}")
    answer = json.loads(launched.stdout)
    if "error" in answer:
        raise ProcessError(f"cannot start {argv[0]!r}: {answer['error']}")
    return identify(int(answer["pid"]))


def identify(pid: int) -> ProcessId:
    """Return the identity of the process that has ``pid`` now."""
    return ProcessId(pid=pid, started=_started(pid) or 0.0, boot=_boot())


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> float | None:
    """Return when the process with this pid started; None when there is none.

    From the kernel where possible: psutil adds the boot time, which moves with the clock, and a
    job must not be taken for dead because the clock was set.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _created(pid)
    except ProcessLookupError:  # It went away while it was read.
        return None
    # proc(5): the 22nd field, counted after the name, which may hold spaces and brackets.
    ticks = int(stat.rpartition(")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")


def _created(pid: int) -> float | None:
    try:
        created: float = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
    return created


def alive(process_id: ProcessId) -> bool:
    """Tell whether this very process runs; a zombie and a recycled pid do not count."""
    if process_id.before_restart:
        return False
    try:
        status: str = psutil.Process(process_id.pid).status()
    except psutil.NoSuchProcess:
        return False
    return status != psutil.STATUS_ZOMBIE and _same(process_id, _started(process_id.pid))


def _same(process_id: ProcessId, started: float | None) -> bool:
    return started is not None and abs(started - process_id.started) <= _CLOCK_SECONDS


def terminate_group(process_id: ProcessId, grace_seconds: float) -> None:
    """End a process and its whole group: SIGTERM, ``grace_seconds``, SIGKILL; return when gone.

    Also ends members that outlived their leader. Does nothing when all are gone, or when the
    pid belongs to another process by now.

    Raises:
        ProcessError: something survived SIGKILL for ten seconds.
    """
    reach("processes: end")
    if _recycled(process_id) or not _signal_group(process_id.pid, signal.SIGTERM):
        return
    reach("processes: asked to end")
    if _wait_for_group(process_id.pid, grace_seconds):
        return
    _signal_group(process_id.pid, signal.SIGKILL)
    if not _wait_for_group(process_id.pid, _KILL_SECONDS):
        raise ProcessError(f"process group {process_id.pid} survived SIGKILL; end it by hand")


def end_group(group: int) -> None:
    """Kill all members of a process group of ours at once; those that are gone do not matter."""
    _signal_group(group, signal.SIGKILL)


def terminate_session(leader: ProcessId) -> None:
    """Kill every process of a dead leader's session, whatever its group, and what bears its mark.

    The kernel gives a session's id to no other process while it has members. Spares the session
    when the leader's pid belongs to another process by now.
    """
    if leader.before_restart:
        return
    if not _recycled(leader):
        _kill_session(leader)
    end_marked(leader.mark)


def _kill_session(leader: ProcessId) -> None:
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader.pid:
                os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _recycled(process_id: ProcessId) -> bool:
    """Tell whether the pid is another process's; a group's id is not given out while it lives."""
    started = _started(process_id.pid)
    if process_id.before_restart:
        return True
    return started is not None and not _same(process_id, started)


def _signal_group(group: int, number: signal.Signals) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _wait_for_group(group: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while group_alive(group):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def group_alive(group: int) -> bool:
    """Tell whether a process group has a member that is not a zombie."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return any(_is_member(process, group) for process in psutil.process_iter())


def _is_member(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
