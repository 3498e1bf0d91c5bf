"""torchvision comes without torch's compiler, and the compiler is there for who asks for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # both import torch and its compiler anew
ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys
import sm_entrypoints.inference
import torch, torchvision
assert "torchvision.ops.roi_align" in sys.modules
there = [name for name in ("torch._dynamo", "torch._dynamo.utils", "sympy") if name in sys.modules]
assert not there, there
# What asks for the compiler gets the real one.
boxes = torch.tensor([[0.0, 0, 0, 4, 4]])
torch.use_deterministic_algorithms(True)
assert torchvision.ops.roi_align(torch.ones(1, 1, 8, 8), boxes, 2).shape == (1, 1, 2, 2)
from torch._dynamo.utils import is_compile_supported
assert is_compile_supported.__module__ == "torch._dynamo.utils"
"""
OTHER = """
import sys
from sm_entrypoints.models.light_torchvision import compiler_later
with compiler_later():
    from torch._dynamo.utils import counters
assert type(counters).__name__ == "defaultdict", counters
assert not getattr(sys.modules["torch._dynamo.utils"], "stands_in", False)
with compiler_later():
    import torchvision
import torch._dynamo.utils
assert torch._dynamo.utils.counters is counters
"""


def _run(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_serving_needs_no_compiler() -> None:
    _run(PROGRAM)


def test_other_names_of_it_are_the_real_ones() -> None:
    _run(OTHER)
