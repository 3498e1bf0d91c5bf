"""The supervisor's side: the process that waits to become its job."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from platforms.local.boundary.enclosure import Prepared
from platforms.local.warm_start.imports import MODULES
from platforms.local.warm_start.inner.whippet_warm_messages import CHILD_VARIABLE, receive, send
from platforms.local.warm_start.inner.whippet_warm_script import NAME
from platforms.local.warm_start.kind import BOUNDARY, INNER, WarmKind, harmless
from platforms.processes.child import Child, InheritedChild

_IDLE_SECONDS = 600.0
# When the machine has no more memory to give, the copy gives back its own.
_LEAST_FREE_BYTES = 1024**3
_IMPORT_SECONDS = 120.0


class Refusal(NamedTuple):
    """Why a job must start cold; ``always``: and so must all of its kind."""

    reason: str
    always: bool


class WarmChild:
    """A process that is to become a job, and the channel to tell it so."""

    def __init__(self, process: Child, channel: socket.socket) -> None:
        self._process = process
        self._channel = channel

    @classmethod
    def inherited(cls, environment: MutableMapping[str, str]) -> WarmChild | None:
        """Return the one that this supervisor was started with, if it was; forget the variable."""
        text = environment.pop(CHILD_VARIABLE, "")
        if not text:
            return None
        descriptor, _, pid = text.partition(":")
        channel = socket.socket(fileno=int(descriptor))
        channel.set_inheritable(False)
        try:
            return cls(InheritedChild(int(pid)), channel)
        except OSError:  # It was killed meanwhile.
            channel.close()
            return None

    @classmethod
    def begun(cls, kind: WarmKind, prepared: Prepared) -> WarmChild:
        """Start the first process of a kind, which leaves a copy to the jobs that follow.

        Raises:
            OSError: it cannot be started.
        """
        kind.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        given = {key: text for key, text in prepared.environment.items() if not harmless(key)}
        given["PYTHONPATH"] = str(INNER)
        ours, theirs = socket.socketpair()
        start = {
            "socket": theirs.fileno(),
            "folder": str(kind.folder.resolve()),
            "modules": MODULES,
            "boundary": str(BOUNDARY),
            "given": sorted(given.keys() - {"PYTHONPATH"}),
            "idle_seconds": _IDLE_SECONDS,
            "least_free_bytes": _LEAST_FREE_BYTES,
        }
        with theirs, (kind.folder / f"{os.getpid()}.txt").open("w+b") as log:
            process = subprocess.Popen(
                [prepared.inner[0], NAME, json.dumps(start)],
                cwd="/",
                env=given,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
                pass_fds=[theirs.fileno()],
            )
            Path(log.name).unlink()
        return cls(process, ours)

    def become(
        self,
        prepared: Prepared,
        script: Path,
        folders: Sequence[Path],
        stopped: Callable[[], bool],
    ) -> Child | Refusal:
        """Let it become the job; return why it did not, if so: then it has ended.

        Args:
            prepared: what a cold start would run.
            script: its full path inside the boundary.
            folders: what the job imports from.
            stopped: tells whether it is to stop.
        """
        order = {
            "file": str(prepared.order),
            "scratch": prepared.cwd,
            "starter": list(prepared.command),
            "argv": list(prepared.inner),
            "script": str(script),
            "environment": dict(prepared.environment),
            "harmless": [name for name in prepared.environment if harmless(name)],
            "folders": [str(each) for each in folders],
            "group": prepared.group,
        }
        try:
            send(self._channel, order, [prepared.log.fileno()])
            answer = self._answer(stopped)
        except (OSError, ValueError) as error:
            answer = {"declined": str(error)}
        if "started" in answer:
            self._channel.close()
            return self._process
        self.end()
        return Refusal(str(answer.get("declined")), always=bool(answer.get("always")))

    def _answer(self, stopped: Callable[[], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + _IMPORT_SECONDS
        while time.monotonic() < deadline and not stopped():
            if select.select([self._channel], [], [], 0.2)[0]:
                return receive(self._channel)[0]
        return {"declined": "it did not answer in time"}

    def dismiss(self) -> None:
        """Wait until it has left its copy and ended: no job will need it."""
        self._channel.close()
        self._process.wait()

    def end(self) -> None:
        """End it: no job will need it."""
        self._channel.close()
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
