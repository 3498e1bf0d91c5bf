"""Weights that are prepared while a run starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tasks.job_environment.weights import prepare_weights, prepared_ahead
from tests.worlds.waiting import wait_for

MODEL = "squeezenet1_1"
# Notes each start, goes on when it is told to, and leaves what the program would.
PROGRAM = f"""#!{sys.executable}
import hashlib, json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
with open(here / "starts", "a") as starts:
    starts.write(f"{{os.getpid()}}\\n")
while not (here / "go").exists():
    time.sleep(0.01)
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
out.write_bytes(b"weights")
print(json.dumps({{"sha256": hashlib.sha256(b"weights").hexdigest(), "source": "here"}}))
"""


def no_fetch(uri: str, path: Path) -> None:
    raise AssertionError(f"fetched {uri} to {path}")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "python"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return path


def starts(program: Path) -> list[int]:
    file = program.with_name("starts")
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def test_who_needs_them_meanwhile_waits_and_gets_them(program: Path, tmp_path: Path) -> None:
    cache = tmp_path / "weights"
    with prepared_ahead(MODEL, job_python=program, cache=cache):
        wait_for(lambda: starts(program), "the program")
        # It goes on a moment after somebody else needs the weights as well.
        waiting = subprocess.Popen(["sh", "-c", 'sleep 0.2; touch "$0"', program.with_name("go")])
        found = prepare_weights("imagenet", MODEL, job_python=program, cache=cache, fetch=no_fetch)
        waiting.wait()
    assert found.source == "here"
    assert found.file is not None
    assert found.file.read_bytes() == b"weights"
    assert len(starts(program)) == 1


def test_what_still_goes_on_ends_with_the_block(program: Path, tmp_path: Path) -> None:
    with prepared_ahead(MODEL, job_python=program, cache=tmp_path / "weights"):
        wait_for(lambda: starts(program), "the program")
    (pid,) = starts(program)
    wait_for(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", "its end"
    )


def test_a_failure_is_told_by_who_needs_them(tmp_path: Path) -> None:
    nothing = tmp_path / "no python"
    with prepared_ahead(MODEL, job_python=nothing, cache=tmp_path / "weights"):
        pass
    with pytest.raises(Exception, match="job environment is missing"):
        prepare_weights(
            "imagenet", MODEL, job_python=nothing, cache=tmp_path / "weights", fetch=no_fetch
        )
