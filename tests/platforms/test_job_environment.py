from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from platforms.errors import SettingsError, WhippetError
from platforms.job_environment import (
    ENTRY_POINTS,
    installed_distributions,
    require_job_python,
    run_program,
)


def script(folder: Path, text: str) -> Path:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_an_interpreter_that_is_not_there_or_not_to_be_run_is_refused(awkward_path):
    require_job_python(Path(sys.executable))
    with pytest.raises(SettingsError, match=r"there is no '.*absent'.*`make job-env`"):
        require_job_python(awkward_path / "absent")
    script(awkward_path, "").chmod(0o644)
    for path in (awkward_path / "python", awkward_path):
        with pytest.raises(SettingsError, match=r"it is not executable: '.*WHIPPET_JOB_PYTHON"):
            require_job_python(path)


def test_a_program_sees_our_code_and_what_it_is_allowed_to(monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "PREFECT_API_KEY", "PIP_RETRIES", "TORCH_HOME"):
        monkeypatch.setenv(name, "1")
    program = "import os, sm_entrypoints.contract; print(*sorted(os.environ))"
    command = [sys.executable, "-c", program]
    seen = run_program(command, "PIP_*", seconds=60).stdout.split()
    assert {"PATH", "PIP_RETRIES", "OMP_WAIT_POLICY"} <= set(seen)
    assert not {"AWS_SECRET_ACCESS_KEY", "PREFECT_API_KEY", "TORCH_HOME"} & set(seen)


def test_a_program_is_named_by_its_file(awkward_path):
    python = script(awkward_path, "exit 3")
    finished = run_program([str(python), str(ENTRY_POINTS / "explain.py")], seconds=60)
    assert finished.problem == "explain.py ended with exit code 3"


def test_what_is_installed_by_canonical_name():
    installed = installed_distributions(Path(sys.executable))
    assert installed["ruamel-yaml"] == version("ruamel.yaml")
    assert installed["packaging"] == version("packaging")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo 'the library\nis gone' >&2; exit 3", "the library\nis gone"),
        ("exit 3", "ended with exit code 3"),
        ("echo no JSON", "Expecting value"),
        ("exit 0", "index out of range"),
    ],
)
def test_an_interpreter_that_does_not_say_what_is_installed(awkward_path, text, words):
    with pytest.raises(WhippetError, match=words):
        installed_distributions(script(awkward_path, text))
