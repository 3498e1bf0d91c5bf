"""The whole of `whippet chaos`, for the fault tests: two real runs, minutes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cli.main import main
from tests.worlds.pipeline import ROOT

WHOLE = "WHIPPET_TEST_CHAOS"


@pytest.mark.skipif(WHOLE not in os.environ, reason=f"takes minutes: set {WHOLE}=1")
@pytest.mark.slow
@pytest.mark.job
def test_a_run_whose_processes_are_killed_ends_right(whippet_home):
    command = [sys.executable, "-m", "cli.main", "chaos", "--seed", "11", "--seconds", "600"]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1500
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "NO" not in [line.split(" ", 1)[0] for line in ended.stdout.splitlines()]
    (page,) = whippet_home.glob("chaos/*/chaos.html")
    assert "The run ended right." in page.read_text(encoding="utf-8")
    assert not list(whippet_home.glob("chaos/*/home"))


@pytest.mark.parametrize("wrong", [["--kills", "0"], ["--kills", "99"], ["--seconds", "0"]])
def test_what_cannot_be_done_is_refused_before_anything_starts(whippet_home, wrong, capsys):
    assert main(["chaos", *wrong]) == 1
    assert "must be" in capsys.readouterr().err
    assert not (whippet_home / "chaos").exists()
