"""The process of one training job: started, stopped as SageMaker stops it, explained."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from platforms.local.environment import job_environment
from platforms.local.job_tree import JobTree
from platforms.local.process import end_group
from platforms.local.toolkit import entry_point
from platforms.local.training_status import MAX_REASON

_TAIL_BYTES = 64 * 1024
_TAIL_LINES = 15
_TRACEBACK = "Traceback (most recent call last):"


class JobProcess:
    """A running entry point: a child of its supervisor, with a process group of its own."""

    def __init__(self, tree: JobTree, process: subprocess.Popen[bytes], command: str) -> None:
        self._tree = tree
        self._process = process
        self._command = command
        self._kill_at: float | None = None

    @classmethod
    def start(cls, tree: JobTree, record: Mapping[str, Any]) -> JobProcess:
        """Start the entry point of a record, in its code folder, stdout and stderr to the log.

        Raises:
            OSError: the interpreter or the folder cannot be used.
        """
        argv = [record["Local"]["JobPython"], *entry_point.command(tree.code, record)]
        with tree.log.open("ab") as log:
            process = subprocess.Popen(
                argv,
                cwd=tree.code,
                env=job_environment(tree, record, os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group to kill at once; the session stays the supervisor's, see its docstring.
                process_group=0,
            )
        return cls(tree, process, entry_point.shown(tree.code, record))

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

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM to the entry point alone, as Docker does; SIGKILL to all after a while.

        Its own children are its business: data loader workers that die first look like a crash.
        """
        self._process.send_signal(signal.SIGTERM)
        self._kill_at = time.monotonic() + grace_seconds

    def end_group(self) -> None:
        """Kill what is left of the process group."""
        end_group(self._process.pid)

    def failure_reason(self) -> str:
        """Return why the job failed: what it wrote to ``failure``, else how its log ends."""
        try:
            with self._tree.failure.open(encoding="utf-8", errors="replace") as file:
                written = file.read(MAX_REASON)
        except OSError:
            written = ""
        return written.strip() or self._explain()

    def _explain(self) -> str:
        code = self.exit_code
        how = f"exit code: {code}"
        if code == 128 + signal.SIGKILL:
            how += " (killed, most often because the memory ran out)"
        # In the words of SageMaker's toolkit, which the tail of the log is quoted in.
        head = f"AlgorithmError: ExecuteUserScriptError: ExitCode {code} ErrorMessage "
        command = self._command if len(self._command) <= 200 else self._command[:197] + "..."
        end = f' Command "{command}", {how}'
        room = MAX_REASON - len(head) - len(end) - 2
        return f'{head}"{_last(log_tail(self._tree), room)}"{end}'


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
