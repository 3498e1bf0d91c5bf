"""Steps as options of bubblewrap (``bwrap``), for machines that allow only it namespaces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from platforms.local.boundary.steps import (
    Bind,
    Devices,
    Folder,
    Link,
    Overlay,
    Processes,
    Scratch,
    Step,
)

# What Docker leaves a container's root, without CAP_MKNOD; enter.py keeps the same.
_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("NET_BIND_SERVICE", "NET_RAW", "SYS_CHROOT", "AUDIT_WRITE", "SETFCAP"),
)
_HARMLESS = frozenset({"null", "zero", "full", "random", "urandom", "tty"})


def options(steps: Sequence[Step], *, cwd: str, host: str, root: bool) -> list[str]:
    """Return bubblewrap's options for a view; the command follows them."""
    arguments = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", host]
    arguments += ["--die-with-parent", "--cap-drop", "ALL"]
    if root:
        arguments += [part for name in _CAPABILITIES for part in ("--cap-add", f"CAP_{name}")]
    for step in steps:
        arguments += _option(step)
    return [*arguments, "--chdir", cwd, "--"]


def _option(step: Step) -> list[str]:
    match step:
        case Bind():
            kind = "--bind" if step.writable else "--ro-bind"
            return [f"{kind}-try" if step.optional else kind, step.source, step.target]
        case Scratch():
            return ["--perms", f"{step.mode:04o}", "--tmpfs", step.target]
        case Folder():
            return ["--dir", step.target]
        case Link():
            return ["--symlink", step.text, step.target]
        case Overlay():
            lowers = [part for each in reversed(step.lowers) for part in ("--overlay-src", each)]
            return [*lowers, "--overlay", step.upper, step.work, step.target]
        case Processes():
            return ["--proc", step.target]
        case Devices():
            return _devices(step)


def _devices(step: Devices) -> list[str]:
    arguments = ["--dev", step.target]
    for node in step.nodes:
        if Path(node).name not in _HARMLESS:
            arguments += ["--dev-bind-try", node, node]
    return [*arguments, "--perms", "1777", "--tmpfs", f"{step.target}/shm"]
