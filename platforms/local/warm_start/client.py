"""Ask the process that waits for a supervisor with a job's process as its child."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from platforms.local.warm_start.inner.whippet_warm_messages import GO, SOCKET, receive, send
from platforms.local.warm_start.kind import FOLDER

_SECONDS = 2.0


def begin_supervisor(
    folder: Path, argv: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path
) -> int | None:
    """Start a process as :func:`platforms.processes.process.spawn_detached` does; return its id.

    None when no process waits in ``folder``, or it does not answer; then nothing is started.
    """
    request = {"argv": list(argv), "env": dict(env), "cwd": str(cwd)}
    ours, theirs = socket.socketpair()
    with ours, theirs, suppress(OSError, ValueError), _connected(folder) as channel:
        with log.open("ab") as file:
            send(channel, request, [theirs.fileno(), file.fileno()])
        theirs.close()
        ours.settimeout(_SECONDS)
        answer, _ = receive(ours)
        pid = int(answer["pid"])
        ours.sendall(GO)
        return pid
    return None


def waits(folder: Path) -> bool:
    """Tell whether a process waits in ``folder``."""
    with suppress(OSError), _connected(folder):
        return True
    return False


def end_all(home: Path) -> int:
    """End all processes that wait for jobs of ``home``; return how many there were."""
    ended = 0
    for folder in sorted((home / FOLDER).glob("*")):
        with suppress(OSError), _connected(folder) as channel:
            send(channel, {"end": True})
            ended += 1
    return ended


@contextmanager
def _connected(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(_SECONDS)
        # By descriptor: the path of a socket may not have more than 107 bytes.
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            channel.connect(f"/proc/self/fd/{place}/{SOCKET}")
        finally:
            os.close(place)
        yield channel
