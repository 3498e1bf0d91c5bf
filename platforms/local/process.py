"""Detached processes: start one that outlives us, ask whether it lives, end it with its group."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from platforms.errors import WhippetError

_LAUNCHER = Path(__file__).with_name("launch.py")
_LAUNCH_SECONDS = 60.0
_POLL_SECONDS = 0.05
_KILL_SECONDS = 10.0
# The kernel counts a start in ticks since boot; psutil adds a boot time that the clock moves.
_CLOCK_SECONDS = 2.0


class ProcessError(WhippetError):
    """Raised when a process could not be started, or outlived SIGKILL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """One process for all time: a recycled pid has another start time.

    Attributes:
        pid: also the id of its process group and session.
        started: unix seconds; 0 when it was over before anyone could look.
    """

    pid: int
    started: float

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"Pid": self.pid, "Started": self.started}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ProcessId:
        """Return what :meth:`to_record` wrote."""
        return cls(pid=int(record["Pid"]), started=float(record["Started"]))


def spawn_detached(
    argv: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path
) -> ProcessId:
    """Start a process that is nobody's child, and return when it exists.

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
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        started = 0.0
    return ProcessId(pid=pid, started=started)


def alive(process_id: ProcessId) -> bool:
    """Tell whether this very process runs; a zombie and a recycled pid do not count."""
    try:
        process = psutil.Process(process_id.pid)
        created: float = process.create_time()
        status: str = process.status()
    except psutil.NoSuchProcess:
        return False
    same = abs(created - process_id.started) <= _CLOCK_SECONDS
    return same and status != psutil.STATUS_ZOMBIE


def terminate_group(process_id: ProcessId, grace_seconds: float) -> None:
    """End a process and its whole group: SIGTERM, ``grace_seconds``, SIGKILL; return when gone.

    Also ends members that outlived their leader. Does nothing when all are gone, or when the
    pid belongs to another process by now.

    Raises:
        ProcessError: something survived SIGKILL for ten seconds.
    """
    if _recycled(process_id) or not _signal_group(process_id.pid, signal.SIGTERM):
        return
    if _wait_for_group(process_id.pid, grace_seconds):
        return
    _signal_group(process_id.pid, signal.SIGKILL)
    if not _wait_for_group(process_id.pid, _KILL_SECONDS):
        raise ProcessError(f"process group {process_id.pid} survives SIGKILL; end it by hand")


def end_group(group: int) -> None:
    """Kill all members of a process group of ours at once; those that are gone do not matter."""
    _signal_group(group, signal.SIGKILL)


def terminate_session(leader: ProcessId) -> None:
    """Kill every process of a dead leader's session, whatever its group.

    The kernel gives a session's id to no other process while it has members. Does nothing when
    the leader's pid belongs to another process by now.
    """
    if _recycled(leader):
        return
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader.pid:
                os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _recycled(process_id: ProcessId) -> bool:
    """Tell whether the pid is another process's; a group's id is not given out while it lives."""
    try:
        created: float = psutil.Process(process_id.pid).create_time()
    except psutil.NoSuchProcess:
        return False
    return abs(created - process_id.started) > _CLOCK_SECONDS


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
