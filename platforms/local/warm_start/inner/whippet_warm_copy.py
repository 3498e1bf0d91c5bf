"""The copy that stays: it forks whenever a client asks for a supervisor, and ends when idle."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from platforms.local.warm_start.inner import whippet_warm_messages as messages
    from platforms.local.warm_start.inner.whippet_warm_title import show_as
else:
    import whippet_warm_messages as messages
    from whippet_warm_title import show_as

_LOCK = "lock"
_TICK_SECONDS = 2.0
_ANSWER_SECONDS = 10.0
_BACKLOG = 64


def leave_behind(start: dict[str, Any], channel: socket.socket) -> socket.socket:
    """Leave a copy of this process to the next jobs; return in every process that becomes a job.

    The result is the channel to that job's supervisor.
    """
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return channel
    os.setsid()
    if os.fork():
        os._exit(0)
    channel.close()
    return _serve(start)


def _serve(start: dict[str, Any]) -> socket.socket:
    """Be the copy: return in the children that wait for an order of their supervisor."""
    os.chdir(start["folder"])
    lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Of this process alone: no fork has it.
    except OSError:
        os._exit(0)
    show_as(["whippet-warm-start", start["folder"]], start["environment"])
    if os.path.lexists(messages.SOCKET):
        os.unlink(messages.SOCKET)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    listener.bind(messages.SOCKET)
    os.umask(mask)
    listener.listen(_BACKLOG)
    here, used = os.stat("."), time.monotonic()
    while True:
        if select.select([listener], [], [], _TICK_SECONDS)[0]:
            channel = _answer(start, listener, lock)
            if channel is not None:
                return channel
            used = time.monotonic()
        elif not _is_wanted(start, here, time.monotonic() - used):
            _end()


def _is_wanted(start: dict[str, Any], here: os.stat_result, idle_seconds: float) -> bool:
    """Tell whether there may be a next job: not in a folder that is gone, nor without memory."""
    return (
        idle_seconds <= start["idle_seconds"]
        and _free_bytes() >= start["least_free_bytes"]
        and _same(start["folder"], here)
    )


def _same(folder: str, here: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(folder), here) and os.path.exists(messages.SOCKET)
    except OSError:
        return False


def _free_bytes() -> int:
    """Return how much memory programs can still take, as the kernel estimates it."""
    with open("/proc/meminfo", "rb") as file:
        for line in file:
            if line.startswith(b"MemAvailable:"):
                return 1024 * int(line.split()[1])
    return 0


def _end() -> NoReturn:
    if os.path.lexists(messages.SOCKET):
        os.unlink(messages.SOCKET)
    os._exit(0)


def _answer(start: dict[str, Any], listener: socket.socket, lock: int) -> socket.socket | None:
    """Answer one client; return in the child that becomes its job."""
    client = listener.accept()[0]
    with client:
        client.settimeout(_ANSWER_SECONDS)
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        if struct.unpack("3i", credentials)[1] != os.getuid():
            return None
        try:
            request, descriptors = messages.receive(client)
        except (OSError, ValueError):
            return None
        if request.get("end") or not is_fresh(start):
            _end()
        if len(descriptors) != 2:
            return None
        middle = os.fork()
        if middle == 0:
            listener.close()
            client.close()
            os.close(lock)
            return _become_supervisor(request, *descriptors)
        os.waitpid(middle, 0)
        for each in descriptors:
            os.close(each)
    return None


def is_fresh(start: dict[str, Any]) -> bool:
    """Tell whether everything imported is still as it was."""
    return all(stamp(name) == kept for name, kept in start["stamps"].items())


def stamp(name: str) -> tuple[int, int, int]:
    """Return when a file or folder was changed, its size and its inode; zeros if it is absent."""
    try:
        found = os.stat(name)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _become_supervisor(request: dict[str, Any], talk: int, log: int) -> socket.socket:
    """Fork once more, so init adopts what the client wants; return in its child.

    Nothing is started before the client said so: it may have given up, and started it itself.
    """
    if os.fork():
        os._exit(0)
    os.setsid()
    with socket.socket(fileno=talk) as client:
        client.settimeout(_ANSWER_SECONDS)
        try:
            messages.send(client, {"pid": os.getpid()})
            said = client.recv(len(messages.GO))
        except OSError:
            said = b""
    if said != messages.GO:
        os._exit(0)
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child:
        theirs.close()
        _execute(request, log, ours, child)
    ours.close()
    os.close(log)
    return theirs


def _execute(request: dict[str, Any], log: int, channel: socket.socket, child: int) -> NoReturn:
    os.dup2(log, 1)
    os.dup2(log, 2)
    channel.set_inheritable(True)
    environment = {**request["env"], messages.CHILD_VARIABLE: f"{channel.fileno()}:{child}"}
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them; they would stay so.
        signal.signal(number, signal.SIG_DFL)
    try:
        os.chdir(request["cwd"])
        os.execve(request["argv"][0], request["argv"], environment)
    except OSError as error:
        os.write(2, f"cannot start {request['argv'][0]!r}: {error}\n".encode())
    os._exit(127)
