"""Import torchvision without torch's compiler, which takes half of a model server's start.

One function of ``torchvision.ops`` asks ``torch._dynamo`` a question when it is called, and for
that the package is imported with it: 1.4 s of processor time. A stand-in passes the question on
when it is asked. Where torchvision asks for something else, it gets the real thing.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_NAME = "torch._dynamo.utils"


@contextmanager
def compiler_later() -> Iterator[None]:
    """Keep the compiler from being imported by what is imported inside; it can be afterwards."""
    if _NAME in sys.modules:
        yield
        return
    sys.modules[_NAME] = _stand_in()
    try:
        yield
    finally:
        if getattr(sys.modules.get(_NAME), "stands_in", False):
            del sys.modules[_NAME]


def _stand_in() -> ModuleType:
    module = ModuleType(_NAME)

    def is_compile_supported(device_type: str) -> Any:
        return importlib.import_module(_NAME).is_compile_supported(device_type)

    def other(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(_NAME, None)
        return getattr(importlib.import_module(_NAME), name)

    module.__dict__.update(
        is_compile_supported=is_compile_supported, stands_in=True, __getattr__=other
    )
    return module
