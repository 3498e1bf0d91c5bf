"""How the C library keeps the memory of the model server: together, and no longer than needed."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

# glibc's number of the option, in its malloc.h.
_ARENA_MAX = -8


def keep_together(variables: Mapping[str, str] = os.environ) -> None:
    """Let all threads allocate from one arena, unless ``MALLOC_ARENA_MAX`` says otherwise.

    glibc gives each thread one of its own, which keeps what its largest picture took. For who has
    started no threads yet.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc alone
    if tune is not None and "MALLOC_ARENA_MAX" not in variables:
        tune(_ARENA_MAX, 1)


def give_back() -> None:
    """Return free memory to the system; takes some milliseconds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)
