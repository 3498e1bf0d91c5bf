"""What ``ps`` shows of this process: its arguments and its first environment (Linux)."""

from __future__ import annotations

import ctypes
import mmap
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PR_SET_MM, _PR_SET_MM_MAP = 35, 14
# proc(5): the numbers of the fields of /proc/self/stat.
_FIELDS = {
    "start_code": 26,
    "end_code": 27,
    "start_data": 45,
    "end_data": 46,
    "start_brk": 47,
    "start_stack": 28,
}
_NAMES = (
    *("start_code", "end_code", "start_data", "end_data", "start_brk", "brk", "start_stack"),
    *("arg_start", "arg_end", "env_start", "env_end", "auxv"),
)


class _Map(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in _NAMES),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    )


def show_as(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Let ``/proc`` show these arguments and this environment.

    Raises:
        OSError: the kernel does not do this.
    """
    shown = b"".join(os.fsencode(each) + b"\0" for each in argv)
    variables = b"".join(os.fsencode(f"{key}={text}") + b"\0" for key, text in environment.items())
    memory = mmap.mmap(
        -1, len(shown) + len(variables) + 1, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    )
    memory.write(shown + variables)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    middle = start + len(shown)
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sbrk.restype = ctypes.c_void_p
    layout = _Map(
        **{name: int(fields[number - 3]) for name, number in _FIELDS.items()},
        brk=libc.sbrk(ctypes.c_ssize_t(0)),
        arg_start=start,
        arg_end=middle,
        env_start=middle,
        env_end=middle + len(variables),
        exe_fd=0xFFFFFFFF,
    )
    size = ctypes.c_size_t(ctypes.sizeof(layout))
    if libc.prctl(_PR_SET_MM, _PR_SET_MM_MAP, ctypes.byref(layout), size, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"show the job's arguments: {os.strerror(code)}")
    # The kernel reads it as long as the process lives, which is longer than this module does.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
