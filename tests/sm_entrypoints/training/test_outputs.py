"""What a job delivers beside its model: the code that serves it, and what that needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sm_entrypoints.training.outputs import copy_serving_code
from tests.sm_entrypoints.pictures import PROJECT

JOBS = PROJECT / "sm_entrypoints" / "requirements.txt"
MODULES = {"nvidia-ml-py": "pynvml"}
# None in sys.modules: importing it is an ImportError.
SERVE = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
import inference, sm_entrypoints.serve
from sm_entrypoints.models.model import load_model
print(inference.__file__)
"""


def names(file: Path) -> set[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return {Requirement(line).name for line in lines if line and not line.startswith("#")}


@pytest.mark.slow
def test_a_container_that_serves_installs_what_serving_needs_and_no_more(tmp_path: Path) -> None:
    copy_serving_code(tmp_path)
    code = tmp_path / "code"
    asked = names(code / "requirements.txt")
    assert asked == {"safetensors"}
    assert asked < names(JOBS)
    missing = [MODULES.get(name, name) for name in sorted(names(JOBS) - asked)]
    assert "optuna" in missing
    served = subprocess.run(
        [sys.executable, "-c", SERVE, *missing],
        env={"PYTHONPATH": str(code), "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert served.stdout.strip() == str(code / "inference.py"), served.stderr
