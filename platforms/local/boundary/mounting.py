"""Carry out the steps of a view in a new mount namespace; standard library only.

See :mod:`platforms.local.boundary.steps` for what each step means.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from platforms.local.boundary.kernel import (
        BIND,
        NO_DEV,
        NO_EXEC,
        NO_SUID,
        REC,
        make_read_only,
        mount,
    )

    Step = dict[str, str]
else:
    from kernel import BIND, NO_DEV, NO_EXEC, NO_SUID, REC, make_read_only, mount


def _several(step: Step, name: str) -> list[str]:
    return [value for key, value in step.items() if key.startswith(f"{name}:")]


def _place(target: str, like: str) -> None:
    """Create a mount point: a folder, or an empty file if ``like`` is not a folder."""
    if os.path.isdir(like):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))


def _bind(root: str, step: Step) -> None:
    source, target = step["source"], root + step["target"]
    if step["optional"] and not os.path.exists(source):
        return
    _place(target, source)
    mount(source, target, None, BIND | REC)
    if not step["writable"]:
        make_read_only(target)


def _scratch(root: str, step: Step) -> None:
    target = root + step["target"]
    os.makedirs(target, exist_ok=True)
    mount("tmpfs", target, "tmpfs", NO_SUID | NO_DEV, f"mode={step['mode']}")


def _folder(root: str, step: Step) -> None:
    os.makedirs(root + step["target"], exist_ok=True)


def _link(root: str, step: Step) -> None:
    target = root + step["target"]
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.lexists(target):
        os.symlink(step["text"], target)


def _overlay(root: str, step: Step) -> None:
    target = root + step["target"]
    os.makedirs(target, exist_ok=True)
    # By descriptor: commas and colons in paths would be the kernel's, which bounds their length.
    opened = [
        os.open(path, os.O_PATH | os.O_DIRECTORY)
        for path in (*_several(step, "lowers"), step["upper"], step["work"])
    ]
    *lowers, upper, work = (f"/proc/self/fd/{each}" for each in opened)
    options = f"lowerdir={':'.join(lowers)},upperdir={upper},workdir={work}"
    # redirect_dir: a folder of the input can be renamed. Users' own namespaces may not have it.
    options += ",volatile"  # Or leaving would wait for the whole disk to be written.
    options += ",userxattr" if step["user_namespace"] else ",redirect_dir=on"
    mount("overlay", target, "overlay", 0, options)
    for each in opened:
        os.close(each)


def _processes(root: str, step: Step) -> None:
    target = root + step["target"]
    os.makedirs(target, exist_ok=True)
    mount("proc", target, "proc", NO_SUID | NO_DEV | NO_EXEC)
    for name in ("sys", "sysrq-trigger", "irq", "bus"):
        path = f"{target}/{name}"
        if os.path.exists(path):
            mount(path, path, None, BIND | REC)
            make_read_only(path)


def _devices(root: str, step: Step) -> None:
    target = root + step["target"]
    os.makedirs(target, exist_ok=True)
    mount("tmpfs", target, "tmpfs", NO_SUID, "mode=755")
    for path in _several(step, "nodes"):
        _bind(root, {"source": path, "target": path, "optional": "1", "writable": "1"})
    os.makedirs(f"{target}/pts")
    mount("devpts", f"{target}/pts", "devpts", NO_SUID | NO_EXEC, "newinstance,ptmxmode=0666")
    os.symlink("pts/ptmx", f"{target}/ptmx")
    os.symlink("/proc/self/fd", f"{target}/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{target}/{name}")
    _scratch(root, {"target": f"{step['target']}/shm", "mode": "1777"})


STEPS: dict[str, Callable[[str, Step], None]] = {
    "bind": _bind,
    "scratch": _scratch,
    "folder": _folder,
    "link": _link,
    "overlay": _overlay,
    "processes": _processes,
    "devices": _devices,
}
