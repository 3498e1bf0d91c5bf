"""The process of one training job: start it, stop it as SageMaker does, explain its end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from platforms.local.boundary.enclosure import Enclosure, Prepared, Program
from platforms.local.boundary.limits import JobLimits, LimitWatch
from platforms.local.boundary.steps import Bind, Step
from platforms.local.job_tree import JobTree
from platforms.local.own_command.command import interpreter_arguments, own_command, shown
from platforms.local.toolkit import entry_point
from platforms.local.training.environment import job_environment
from platforms.local.training.status import MAX_REASON
from platforms.local.warm_start.kind import kind_of
from platforms.local.warm_start.start import WarmProgram, WarmStart
from platforms.processes.child import Child
from platforms.processes.marks import adopt_orphans, children_now, end_adopted, end_marked
from platforms.processes.process import end_group, identify
from sm_entrypoints.contract.sentences import ended

_TAIL_BYTES = 64 * 1024
_TAIL_LINES = 15
_ALGORITHM = "AlgorithmError: "
_TRACEBACK = "Traceback (most recent call last):"


class JobProcess:
    """A running entry point: a child of its supervisor, with a process group of its own."""

    def __init__(self, tree: JobTree, enclosure: Enclosure, process: Child, command: str) -> None:
        self._others: frozenset[int] = frozenset()
        self._tree = tree
        self._enclosure = enclosure
        self._process = process
        self._command = command
        self._kill_at: float | None = None
        self._limits: LimitWatch | None = None
        self._over: str | None = None

    @classmethod
    def start(
        cls,
        tree: JobTree,
        record: Mapping[str, Any],
        enclosure: Enclosure,
        channels: Sequence[Step] = (),
        *,
        warm: WarmStart | None = None,
    ) -> JobProcess:
        """Start the command of a record, in its code folder, stdout and stderr to the log.

        From a process of ``warm`` where that makes no difference.

        Raises:
            OSError: the interpreter or the folder cannot be used.
        """
        seen = tree.as_seen(contained=enclosure.mechanism.contained)
        with tree.log.open("ab") as log:
            # A group to kill at once; the session stays the supervisor's, see its docstring.
            what = Program(
                arguments=_arguments(tree, seen, record),
                cwd=str(seen.code),
                environment=job_environment(seen, record, os.environ),
                log=log,
                group=True,
            )
            root = Bind(source=str(tree.root), target=str(seen.root), writable=True)
            prepared = enclosure.prepare(what, [root, *channels])
            others = _watched_over(enclosure)
            process = None if warm is None else _warm(warm, tree, record, enclosure, prepared)
            process = prepared.start() if process is None else process
        job = cls(tree, enclosure, process, _shown(tree, record))
        job._others = others
        limits = JobLimits.from_record(record["Local"].get("Limits", {}))
        if limits:
            own = enclosure.mechanism.processes
            job._limits = LimitWatch(process.pid, limits, boundary=own)
        return job

    @property
    def pid(self) -> int:
        """Its first process, which leads its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int:
        """The code of the ended process as a shell gives it: 128 + signal when killed."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def wait(self, seconds: float) -> bool:
        """Wait so long for the end; tell whether it came. Kills what outlasts a stop."""
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self.end_group()
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def enforce_limits(self) -> str | None:
        """Kill the job when it takes more than it may; say so the first time."""
        if self._limits is None or self._over is not None:
            return None
        self._over = self._limits.exceeded()
        if self._over is None:
            return None
        self.end_group()
        self._limits.kill()
        return f"the job is killed: {self._over}"

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM to the entry point alone, as Docker does; SIGKILL to all after a while.

        Its own children are its business: data loader workers that die first look like a crash.
        """
        self._process.send_signal(signal.SIGTERM)
        self._kill_at = time.monotonic() + grace_seconds

    def end_group(self) -> None:
        """Kill what is left of the process group."""
        end_group(self._process.pid)

    def end_descendants(self) -> None:
        """Kill all that is left of the job, also what moved to a session of its own.

        Only when nothing else runs below this process. A boundary ends its own with the job.
        """
        self.end_group()
        if not self._enclosure.mechanism.contained:
            end_adopted(self._others)
            end_marked(identify(os.getpid()).mark)

    def failure_reason(self) -> str:
        """Return why the job failed, as the service words it: ``AlgorithmError: …, exit code: N``.

        The middle is what the job wrote to ``failure``, else what the toolkit says of a script.
        """
        problem = self._enclosure.problem()
        if problem:
            return (
                f"ClientError: the boundary of this job could not be made: {ended(problem)} "
                "`whippet doctor` shows what works here; WHIPPET_BOUNDARY=none does without one"
            )
        try:
            with self._tree.failure.open(encoding="utf-8", errors="replace") as file:
                written = file.read(MAX_REASON).strip()
        except OSError:
            written = ""
        end = f", exit code: {self.exit_code}"
        if self._over is not None:
            return f"{_ALGORITHM}the job was killed: {self._over}{end}"
        room = MAX_REASON - len(_ALGORITHM) - len(end)
        return f"{_ALGORITHM}{written[:room] if written else self._explain(room)}{end}"

    def _explain(self, room: int) -> str:
        """Say how the log ends, in the words of SageMaker's toolkit, within so many characters."""
        extra = ""
        if self.exit_code == 128 + signal.SIGKILL:
            extra = '\nExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"'
        command = self._command if len(self._command) <= 200 else self._command[:197] + "..."
        head = f'ExecuteUserScriptError:\nExitCode {self.exit_code}\nErrorMessage "'
        foot = f'"{extra}\nCommand "{command}"'
        return f"{head}{_last(log_tail(self._tree), room - len(head) - len(foot))}{foot}"


def _watched_over(enclosure: Enclosure) -> frozenset[int]:
    """Let no descendant of the job get lost; return the children that are none of it."""
    if enclosure.mechanism.contained:
        return frozenset()
    adopt_orphans()
    return children_now()


def _warm(
    warm: WarmStart,
    tree: JobTree,
    record: Mapping[str, Any],
    enclosure: Enclosure,
    prepared: Prepared,
) -> Child | None:
    kind = kind_of(record, enclosure.home)
    what = None if kind is None else WarmProgram.of_job(record, tree)
    return warm.begin(kind, what, enclosure, prepared)


def _arguments(tree: JobTree, seen: JobTree, record: Mapping[str, Any]) -> list[str]:
    """Return what the interpreter is started with: the toolkit's command, or the request's own."""
    if own_command(record):
        return interpreter_arguments(seen, record)
    return entry_point.command(tree.code, record)


def _shown(tree: JobTree, record: Mapping[str, Any]) -> str:
    return shown(record) if own_command(record) else entry_point.shown(tree.code, record)


def log_tail(tree: JobTree) -> str:
    """Return the end of a job's log: its last traceback if it has one, else its last lines."""
    try:
        with tree.log.open("rb") as file:
            file.seek(max(0, tree.log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace").rstrip()
    except FileNotFoundError:
        return ""
    if _TRACEBACK in text:
        return text[text.rindex(_TRACEBACK) :]
    return "\n".join(text.splitlines()[-_TAIL_LINES:])


def _last(text: str, room: int) -> str:
    """Cut a text from the front: the end of a traceback says what happened."""
    return text if len(text) <= room else "..." + text[len(text) - room + 3 :]
