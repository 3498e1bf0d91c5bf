"""Run one command inside a boundary of Linux namespaces; standard library only.

The order comes from a file made by :mod:`platforms.local.boundary.orders`; the command gets our
environment. Three processes:

- this one, outside: passes SIGTERM on, and ends with the command's exit code;
- process 1 of the new PID namespace: makes the view, reaps orphans, passes SIGTERM on;
- the command. When it ends, process 1 ends, and the kernel kills whatever else is left.

Problems before the command runs are written to the file ``problem``; the exit code is then 125.
Killing this process kills everything inside; that of a job is killed with its supervisor. Every
import here costs each job a millisecond or more: hence ``_signal`` and not ``signal``, and no JSON.
"""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn

    from platforms.local.boundary import kernel
    from platforms.local.boundary.mounting import STEPS
else:
    import _signal as signal

    import kernel
    from mounting import STEPS

SETUP_FAILED = 125
FORWARDED = (signal.SIGTERM, signal.SIGINT)


class Order:
    """What to run, and in which view: groups of a count and as many keys and values, NUL-ended."""

    def __init__(self, text: str) -> None:
        words, read = iter(text.split("\0")[:-1]), []
        for count in words:
            read.append({next(words): next(words) for _ in range(int(count))})
        self.head, argv, *self.steps = read
        self.argv = list(argv.values())
        self.problem_file = -1


def _make_view(order: Order) -> None:
    """Build the new root and move into it; the old one is gone when this returns."""
    kernel.unshare(kernel.NEW_NAMESPACES, "mounts, IPC and host name")
    kernel.set_host_name(order.head["host"])
    kernel.mount("none", "/", None, kernel.REC | kernel.PRIVATE)
    root = order.head["root"]
    kernel.mount("tmpfs", root, "tmpfs", kernel.NO_SUID | kernel.NO_DEV, "mode=755")
    for step in order.steps:
        step["user_namespace"] = order.head["user_namespace"]
        STEPS[step["kind"]](root, step)
    kernel.change_root(root)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _pass_on(target: int) -> None:
    """Send on, from now on, the signals that ask for an end."""

    def send(number: int, frame: object) -> None:
        try:
            os.kill(target, number)
        except ProcessLookupError:
            return

    for number in FORWARDED:
        signal.signal(number, send)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)


def _become_command(order: Order) -> None:
    """Lead a group, and take signals as a program does that was just started."""
    os.setpgid(0, 0)
    for number in (*FORWARDED, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    os.chdir(order.head["cwd"])


def _inside(order: Order, outside: int) -> None:
    """Be process 1: make the view, reap, and end when the command has ended; return in that."""
    kernel.die_with_parent(signal.SIGKILL)
    if select.select([outside], [], [], 0)[0]:  # It was gone before we asked for that.
        os._exit(SETUP_FAILED)
    os.setsid()
    _make_view(order)
    kernel.restrict(() if os.getuid() else kernel.KEPT_CAPABILITIES)
    command = os.fork()
    if command == 0:
        _become_command(order)
        return
    _pass_on(command)
    while True:
        ended, status = os.wait()
        if ended == command:
            os._exit(_exit_code(status))


def enter(order_file: str) -> Order:
    """Make the boundary of an order around this process; see the module's docstring.

    Returns only in a third process, which is to be the command, in its folder, and is not it yet.
    """
    # Nothing may be lost while the processes are made: what comes meanwhile waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    with open(order_file, encoding="utf-8", errors="surrogateescape", newline="") as file:
        order = Order(file.read())
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    order.problem_file = os.open(order.head["problem"], flags, 0o600)
    try:
        _make_processes(order)
    except (OSError, ValueError, ImportError) as error:
        _give_up(order, error)
    return order


def _make_processes(order: Order) -> None:
    inside, outside = os.pipe()
    if order.head["user_namespace"]:
        kernel.become_user_namespace()
    kernel.unshare(kernel.NEW_PID, "the process ids")
    child = os.fork()
    if child == 0:
        os.close(outside)
        _inside(order, inside)
        return
    if order.head["dies_with_starter"]:
        kernel.die_with_parent(signal.SIGKILL)
    _pass_on(child)
    os._exit(_exit_code(os.waitpid(child, 0)[1]))


def _give_up(order: Order, error: Exception) -> NoReturn:
    """Write down what kept the command from running."""
    os.write(order.problem_file, str(error).encode())
    os._exit(SETUP_FAILED)


def main(order_file: str) -> NoReturn:
    """Run the command of an order; see the module's docstring."""
    order = enter(order_file)
    try:
        os.execv(order.argv[0], order.argv)  # execvp would import what is out of sight by now
    except (OSError, ValueError) as error:
        _give_up(order, error)
