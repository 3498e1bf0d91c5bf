"""The page of a judged job, rendered by a program of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ABOUT = {
    "parts": {"system metrics": "/somewhere"},
    "notes": ["1 line was cut off."],
    "job": {
        "name": "job-<1>",
        "status": "InProgress",
        "start": "2026-11-26T09:00:00.000000+00:00",
        "end": "2026-11-26T09:01:05.000000+00:00",
        "rules": [
            {
                "name": "R",
                "rule": "Overfit",
                "parameters": {"rule_to_invoke": "Overfit", "patience": "3"},
            }
        ],
    },
}


def run(folder: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    (tmp_path / "about.json").write_text(json.dumps(ABOUT), "utf-8")
    command = [sys.executable, "-m", "dashboards.job_page", str(folder)]
    command += [str(tmp_path / "about.json"), str(tmp_path / "out" / "page.html")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_page_says_what_is_known_of_the_job(awkward_path: Path) -> None:
    folder = awkward_path / "output"
    folder.mkdir()
    done = run(folder, awkward_path)
    assert (done.returncode, done.stderr) == (0, "")
    page = (awkward_path / "out" / "page.html").read_text("utf-8")
    for text in (
        "job-&lt;1&gt;",
        "Overfit (patience=3)",
        "1 line was cut off.",
        "65",
        "2026-11-26 09",
    ):
        assert text in page


def test_a_malformed_file_is_named(awkward_path: Path) -> None:
    folder = awkward_path / "output"
    (folder / "instrumentation").mkdir(parents=True)
    (folder / "instrumentation" / "steps.csv").write_text("what?\n1\n")
    done = run(folder, awkward_path)
    assert done.returncode == 1
    assert "steps.csv" in done.stderr
    assert "Traceback" not in done.stderr
