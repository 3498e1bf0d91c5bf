"""Become a job: everything that a cold start would give it, and nothing that it would not."""

from __future__ import annotations

import ctypes
import os
import signal
import site
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from platforms.local.warm_start.inner import whippet_warm_copy, whippet_warm_script
    from platforms.local.warm_start.inner.whippet_warm_messages import receive, send
    from platforms.local.warm_start.inner.whippet_warm_title import show_as
else:
    import whippet_warm_copy
    import whippet_warm_script
    from whippet_warm_messages import receive, send
    from whippet_warm_title import show_as

_PR_SET_DUMPABLE = 4


class Declined(Exception):
    """Raised when a job must start cold; the message says why."""


def decline(channel: socket.socket, reason: str, *, always: bool = False) -> NoReturn:
    """Tell the supervisor to start its job cold, and perhaps ``always`` all of its kind; end."""
    try:
        send(channel, {"declined": reason, "always": always})
    except OSError:
        pass  # It has gone.
    os._exit(0)


def become(channel: socket.socket, start: dict[str, Any], boundary: Any) -> None:
    """Wait for an order, enter the boundary, and return as the job; end where it cannot be done.

    The order: ``file`` for the boundary, ``scratch``, ``starter`` and ``argv`` as a cold start
    would have them, the full path of the ``script``, ``environment``, ``harmless`` (names that
    nothing reads before a script), ``folders`` that the job imports from, as this machine names
    them, and ``group``: whether it leads a process group of its own.
    """
    try:
        order, descriptors = receive(channel)
    except (OSError, ValueError):
        os._exit(0)  # The supervisor needs no job of us.
    (log,) = descriptors
    try:
        _check(order, start)
        show_as(order["starter"], order["environment"])
    except (Declined, OSError) as reason:
        decline(channel, str(reason))
    if order["group"]:
        os.setpgid(0, 0)
    send(channel, {"started": True})
    channel.close()
    for number in (1, 2):
        os.dup2(log, number)
    _close_all()
    os.chdir(order["scratch"])
    boundary.enter(order["file"])
    _close_all()
    _be_as_new(order, start)


def _close_all() -> None:
    """Close all descriptors but the first three."""
    for number in [int(each) for each in os.listdir("/proc/self/fd")]:
        if number > 2:
            try:
                os.close(number)
            except OSError:
                continue  # It read the folder.


def _check(order: dict[str, Any], start: dict[str, Any]) -> None:
    """Check that nothing which Python or a library read when it started would be another now.

    Raises:
        Declined: something would.
    """
    given = {name: start["environment"].get(name) for name in start["given"]}
    wanted = order["environment"]
    for name in sorted({*given, *wanted} - set(order["harmless"])):
        if given.get(name) != wanted.get(name):
            raise Declined(f"{name} differs")
    if not whippet_warm_script.fits(order["script"]):
        raise Declined("the path of the script is long")
    known = {name.partition(".")[0] for name in list(sys.modules)}
    for folder in order["folders"]:
        for entry in os.listdir(folder):
            if entry.partition(".")[0] in known:
                raise Declined(f"{entry} would hide a module that is imported already")
    if not whippet_warm_copy.is_fresh(start):
        raise Declined("the job environment has changed")


def _be_as_new(order: dict[str, Any], start: dict[str, Any]) -> None:
    """Forget what was before; see Python's own start for the order of things."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # As every program that is executed.
    # What Python sets by itself where it chooses the locale.
    added = {
        name: text for name, text in start["environment"].items() if name not in start["given"]
    }
    show_as(order["argv"], order["environment"])
    os.environ.clear()
    os.environ.update({**added, **order["environment"]})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    sys.argv[:] = order["argv"][1:]
    sys.orig_argv[:] = order["argv"]
    own = order["environment"].get("PYTHONPATH", "")
    sys.path[:] = [*(own.split(os.pathsep) if own else []), *start["path"]]
    site.removeduppaths()
    sys.path_importer_cache.clear()
    whippet_warm_script.run_instead(order["script"], start["script"])
    _reseed()


def _reseed() -> None:
    """Draw anew what Python and its libraries drew at random while they were imported."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None:
        multiprocessing.current_process().authkey = os.urandom(32)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.default_generator.seed()
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        vars(tempfile)["tempdir"] = None
