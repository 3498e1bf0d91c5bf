"""Deployed from one folder, run by a worker of another checkout, started from a third folder.

Minutes: `make test-operation`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.server.login import shell_file
from tests.flows.workers import PREFECT, running_worker, sourced
from tests.worlds.pipeline import ROOT, Whippet, tiny_data

pytestmark = [pytest.mark.slow, pytest.mark.job]
PACKAGES = ("cli", "dashboards", "flows", "platforms", "sm_entrypoints", "tasks")
# A clean shell: no virtual environment, none of our variables.
SHELL = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}


def other_checkout(root: Path) -> Path:
    """Copy the project, as another person's checkout has it, with pictures that only it has."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "prefect.yaml", "automations.yaml"):
        shutil.copy(ROOT / name, root / name)
    tiny_data(root / "photos")
    return root


def test_deployed_here_and_run_there_from_anywhere(tmp_path: Path) -> None:
    home, there, anywhere = tmp_path / "home", tmp_path / "there", tmp_path / "anywhere"
    anywhere.mkdir()
    checkout = other_checkout(there)
    starting = Whippet(home=home, api_url="")
    try:
        up = starting.run("up", "--no-worker")
        assert up.code == 0, up.err
        known = sourced(shell_file(starting.settings))
        # Its own home, and its own modules: its environment is an installation of that folder.
        theirs = {
            **known,
            "PYTHONPATH": str(checkout),
            "WHIPPET_JOB_PYTHON": str(starting.settings.job_python),
        }
        worker = Whippet(
            home=tmp_path / "their home", api_url=known["PREFECT_API_URL"], extra=theirs
        )
        (line,) = [each for each in up.out.splitlines() if each.startswith("start a run:")]
        command = line.partition(":")[2].strip()
        assert str(Path(sys.executable).with_name("prefect")) == PREFECT
        with running_worker(worker, anywhere):
            watched = watch(command, anywhere, starting.environment["PREFECT_PROFILES_PATH"])
        assert watched.returncode == 0, watched.stdout + watched.stderr
        assert "finished successfully" in watched.stdout
        (record,) = (tmp_path / "their home" / "runs").glob("[!.l]*/run.json")
        told = json.loads(record.read_text("utf-8"))
        assert told["status"] == "completed"
        assert told["data"]["root"] == str(checkout / "photos")
        assert not (home / "runs").exists()
    finally:
        Whippet(home=tmp_path / "their home", api_url="").shut_down()
        down = starting.run("down")
    assert down.code == 0, down.err
    lent = Path(starting.environment["PREFECT_PROFILES_PATH"])
    assert "whippet" not in lent.read_text("utf-8")


def watch(command: str, folder: Path, profiles: str) -> subprocess.CompletedProcess[str]:
    """Run what `whippet up` says, in a clean shell of who has a profile by it and none else."""
    groups = {
        "data": {"path": "photos"},
        "model": {"architecture": "mobilenet_v2", "image_size": 32},
        "tuning": {"max_jobs": 2, "max_epochs": 2},
    }
    chosen = " ".join(f"--param '{name}={json.dumps(value)}'" for name, value in groups.items())
    return subprocess.run(
        ["sh", "-c", f"{command} {chosen}"],
        cwd=folder,
        env={**SHELL, "PREFECT_PROFILES_PATH": profiles},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
