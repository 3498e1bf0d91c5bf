"""Which script Python runs when it has started: the name that it was started with, replaced.

Python keeps the name in its configuration and offers no way to change it. So it is started with a
name that is found nowhere else, and whose room is enough for others. Reading another process's
memory by its file is safe: where there is none, this is an error.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# An absolute path, which Python does not complete.
NAME = "/whippet-warm-start/" + "-" * 1000
_WORDS = 64
_WORD = struct.Struct("P")


def places() -> list[int]:
    """Return where the name is kept: as the file to run, and as the first argument.

    Empty when it is not kept as in the versions of Python that are known.
    """
    configuration = ctypes.pythonapi._Py_GetConfig
    configuration.restype, configuration.argtypes = ctypes.c_void_p, []
    memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        words = _read(memory, configuration(), _WORDS * _WORD.size)
        kept = list(_kept(memory, words)) if len(words) == _WORDS * _WORD.size else []
    finally:
        os.close(memory)
    return [place for _, place in kept] if {kind for kind, _ in kept} == {0, 1} else []


def _kept(memory: int, words: bytes) -> Iterator[tuple[int, int]]:
    """Yield the name's places, and over how many pointers they were found."""
    name = _encoded(NAME)
    for (word,) in _WORD.iter_unpack(words):
        if _read(memory, word, len(name)) == name:
            yield 0, word
        item = _read(memory, word, _WORD.size)
        if len(item) == _WORD.size:
            (first,) = _WORD.unpack(item)
            if _read(memory, first, len(name)) == name:
                yield 1, first


def _read(memory: int, place: int, size: int) -> bytes:
    try:
        return os.pread(memory, size, place)
    except (OSError, OverflowError):
        return b""


def _encoded(name: str) -> bytes:
    # By hand: a codec would be imported.
    return b"".join(ord(each).to_bytes(4, sys.byteorder) for each in f"{name}\0")


def fits(script: str) -> bool:
    """Tell whether there is room for the path of a script."""
    return len(_encoded(script)) <= len(_encoded(NAME))


def run_instead(script: str, kept: list[int]) -> None:
    """Let Python run ``script`` next: an absolute path that fits."""
    name = _encoded(script)
    for place in kept:
        ctypes.memmove(place, name, len(name))
