"""What ``enter.py`` asks of the Linux kernel through the C library; standard library only."""

from __future__ import annotations

import ctypes
import os

NEW_NAMESPACES = 0x00020000 | 0x08000000 | 0x04000000  # mounts, System V IPC, host name
NEW_USER, NEW_PID = 0x10000000, 0x20000000
NO_SUID, NO_DEV, NO_EXEC, BIND, REC, PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
DETACH, AT_FDCWD, AT_RECURSIVE, READ_ONLY = 2, -100, 0x8000, 1
SYS_MOUNT_SETATTR = 442
SYS_PIVOT_ROOT = 155 if os.uname().machine == "x86_64" else 41
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
CAPABILITY_VERSION_3 = 0x20080522
# What Docker leaves a container's root, without CAP_MKNOD, which would open the disks.
KEPT_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31)

LIBC = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("namespace", ctypes.c_uint64),
    )


def check(result: int, what: str) -> None:
    """Raise the error that the C library left, unless ``result`` is 0."""
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mount something, as mount(2)."""
    result = LIBC.mount(
        os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    check(result, f"mount {kind or source!r} at {target!r}")


def make_read_only(target: str) -> None:
    """Let nothing be written through what is mounted at ``target`` and below; needs Linux 5.12."""
    attributes = _Attributes(set=READ_ONLY)
    result = LIBC.syscall(
        ctypes.c_long(SYS_MOUNT_SETATTR),
        ctypes.c_int(AT_FDCWD),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    check(result, f"mount_setattr of {target!r}")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def become_user_namespace() -> None:
    """Enter a new user namespace, in which we keep our identity and may mount."""
    user, group = os.getuid(), os.getgid()
    check(LIBC.unshare(NEW_USER), "unshare the user namespace")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")


def restrict(kept: tuple[int, ...]) -> None:
    """Give up, for good, every capability but ``kept``, and what set-uid programs would give."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="utf-8") as file:
        last = int(file.read())
    for number in set(range(last + 1)) - set(kept):
        check(LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), f"drop capability {number}")
    wanted = sum(1 << number for number in kept)
    header, current = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    check(LIBC.capget(header, current), "read the capabilities")
    for index in range(2):
        half = (wanted >> (32 * index)) & 0xFFFFFFFF
        allowed = half & current[3 * index + 1]
        current[3 * index : 3 * index + 3] = [allowed, allowed, 0]
    check(LIBC.capset(header, current), "give up capabilities")
    check(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "give up new privileges")


def unshare(flags: int, what: str) -> None:
    """Leave namespaces for new ones."""
    check(LIBC.unshare(flags), f"unshare {what}")


def set_host_name(name: str) -> None:
    """Name the host of our namespace."""
    encoded = os.fsencode(name)
    check(LIBC.sethostname(encoded, len(encoded)), "set the host name")


def change_root(root: str) -> None:
    """Make the mount at ``root`` the root of all paths, and leave the old root behind."""
    os.chdir(root)
    check(LIBC.syscall(ctypes.c_long(SYS_PIVOT_ROOT), b".", b"."), "pivot_root")
    check(LIBC.umount2(b".", DETACH), "leave the old root")
    os.chdir("/")


def die_with_parent(number: int) -> None:
    """Be sent this signal when the thread that started us ends."""
    check(LIBC.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0), "die with the process outside")
