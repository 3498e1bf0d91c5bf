"""Sample the machine from a small process beside a job, like SageMaker's host agent."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from platforms.files import replacing
from platforms.job_environment import ENTRY_POINTS
from platforms.local.job_tree import HOST, JobTree
from platforms.processes.environment import allowed_environment
from sm_entrypoints.contract import SYSTEM_FOLDER

# What the service takes for ProfilingIntervalInMilliseconds.
INTERVALS_MS = (100, 200, 500, 1000, 5000, 60000)
_DEFAULT_INTERVAL_MS = 500
_PROGRAM = ENTRY_POINTS / "sample.py"
# A short job ends before Python has started on a busy machine.
_STOP_SECONDS = 20.0
_MOST_CHARACTERS = 300


def is_profiled(request: Mapping[str, Any]) -> bool:
    """Tell whether the request wants the system sampled."""
    config = request.get("ProfilerConfig")
    return config is not None and not config.get("DisableProfiler", False)


def interval_problems(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the interval that a request asks for."""
    interval = request.get("ProfilerConfig", {}).get("ProfilingIntervalInMilliseconds")
    if interval is not None and interval not in INTERVALS_MS:
        allowed = ", ".join(map(str, INTERVALS_MS))
        yield f"ProfilerConfig: ProfilingIntervalInMilliseconds {interval} is not one of {allowed}."


class SystemSampling:
    """The sampling process of one job; a job whose machine cannot be sampled runs anyway.

    It ends with :meth:`stop`, when the supervisor dies (its stdin ends), or when the job begins to
    write samples of its own.
    """

    def __init__(self, process: subprocess.Popen[bytes] | None, problem: str | None = None) -> None:
        self._process = process
        self._problem = problem

    @classmethod
    def start(cls, tree: JobTree, record: Mapping[str, Any], pid: int) -> SystemSampling:
        """Start sampling for the job whose first process is ``pid``, if its request wants it."""
        if not is_profiled(record):
            return cls(None)
        interval = record["ProfilerConfig"].get("ProfilingIntervalInMilliseconds")
        command = [
            *(record["Local"]["JobPython"], str(_PROGRAM), str(tree.system_samples)),
            *("--interval-ms", str(interval or _DEFAULT_INTERVAL_MS)),
            *("--node", HOST, "--pid", str(pid), "--unless", str(own_samples(tree))),
        ]
        try:
            process = subprocess.Popen(
                command,
                cwd=tree.folder,
                env=allowed_environment(os.environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            return cls(None, str(error))
        return cls(process)

    def stop(self) -> str | None:
        """Let it take a last sample and end; return why the system was not sampled, if so."""
        if self._process is None:
            return self._problem
        try:
            _, complaints = self._process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            _, complaints = self._process.communicate()
        except BrokenPipeError:
            complaints = b""
        if self._process.returncode == 0:
            return None
        lines = complaints.decode("utf-8", "replace").strip().splitlines()
        return (lines or [f"exit code {self._process.returncode}"])[-1][:_MOST_CHARACTERS]


def own_samples(tree: JobTree) -> Path:
    """Return where a job that samples itself writes its files."""
    return tree.output_data / SYSTEM_FOLDER


def stage_samples(tree: JobTree) -> None:
    """Bring the samples so far into ``tree.profiler_output``, as SageMaker lays them out.

    Every file there is replaced as a whole and ends with a whole line, so that it can be read at
    any moment. From the job's first own sample on, only its own count.

    Raises:
        OSError: the disk is full, or a folder cannot be written.
    """
    theirs, own = tree.system_samples, own_samples(tree)
    names = {path.relative_to(root) for root in (theirs, own) for path in root.glob("*/*.json")}
    first_own = min((path.relative_to(own) for path in own.glob("*/*.json")), default=None)
    for name in sorted(names):
        target = tree.profiler_output / "system" / "incremental" / name
        changed = max(_changed(theirs / name), _changed(own / name))
        if changed == _changed(target):
            continue
        lines = _whole_lines(own / name)
        if first_own is None or name <= first_own:
            lines = _before(_whole_lines(theirs / name), lines) + lines
        if lines:
            _replace(target, b"".join(lines), changed)


def _changed(path: Path) -> int:
    """Return when a file changed, in nanoseconds; 0 when it is not there."""
    try:
        return path.lstat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _whole_lines(path: Path) -> list[bytes]:
    if path.is_symlink():
        return []
    try:
        return [line for line in path.read_bytes().splitlines(True) if line.endswith(b"\n")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _before(lines: list[bytes], later: list[bytes]) -> list[bytes]:
    """Return the lines that were sampled before the first one of ``later``."""
    if not later:
        return lines
    moment = _timestamp(later[0])
    return [line for line in lines if _timestamp(line) < moment]


def _timestamp(line: bytes) -> float:
    with contextlib.suppress(ValueError):
        return float(line.rpartition(b":")[2].strip(b" }\n"))
    return 0.0


def _replace(path: Path, content: bytes, changed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh:
        fresh.write_bytes(content)
        # As its sources were before they were read: a line that came meanwhile is a change.
        os.utime(fresh, ns=(changed, changed))
