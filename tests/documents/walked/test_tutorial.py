"""The tutorial, walked: each of its commands runs, in order, on a folder as it describes one.

Not in CI: a whole run at its full size, and `whippet improve`, take minutes.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.documents.reading import calls
from tests.sources import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.job]

# What a command gets besides: no questions, and weights that a machine without a network has.
MORE = {"clean-up": ["--yes"], "run": ["--model", "mobilenet_v2"]}
CLASSES = {"daisy": "birds", "rose": "flags", "tulip": "fruit"}
_PASSED_ON = ("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE", "WHIPPET_CHROMIUM")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An own folder: pictures by class, and the environments where `make demo` makes them."""
    found = tmp_path_factory.mktemp("my project")
    for name, drawn in CLASSES.items():
        (found / "pictures" / name).mkdir(parents=True)
        drawings = sorted((ROOT / "samples/clipart/train" / drawn).iterdir())[:30]
        for number, path in enumerate(drawings, 1):
            with Image.open(path) as drawing:
                drawing.convert("RGB").save(found / "pictures" / name / f"{number}.jpg")
    for environment in (".venv", ".venv-job"):
        (found / environment).symlink_to(ROOT / environment)
    yield found
    whippet(found, "down")


def environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    home = {"HOME": str(folder), "WHIPPET_HOME": str(folder / ".whippet")}
    return {**kept, **home, "PYTHONUNBUFFERED": "1"}


def whippet(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / ".venv/bin/whippet", *words],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=900,
    )


def served(folder: Path, *words: str) -> str:
    """Return the first page of a command that serves until it is told to end."""
    program = [folder / ".venv/bin/whippet", *words, "--port", "0"]
    process = subprocess.Popen(
        program, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        return httpx.get(url, trust_env=False, timeout=60).raise_for_status().text
    finally:
        process.terminate()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()


def test_every_command_of_the_tutorial_runs(folder: Path) -> None:
    commands = [call.arguments for call in calls("whippet", "docs/tutorial.md")]
    assert [words[0] for words in commands] == [
        *("data", "plan", "run", "improve", "predict", "predict", "ui"),
        *("endpoints", "clean-up", "down"),
    ]
    for words in commands:
        started = time.monotonic()
        if words[0] == "ui":
            assert "flowers" in served(folder, *words)
            continue
        ended = whippet(folder, *words, *MORE.get(words[0], []))
        print(f"$ whippet {' '.join(words)}  ({time.monotonic() - started:.0f} s)")
        print(ended.stdout[-3000:])
        assert ended.returncode == 0, ended.stderr[-3000:]
    assert (folder / ".whippet/runs/flowers/report.html").is_file()
    assert len((folder / "labels.csv").read_text("utf-8").splitlines()) == 89
