"""Whole processes, timed from outside: start-up, imports and all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sm_entrypoints.contract import SEARCH_SUMMARY_FILE

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / ".venv-job/bin/python"
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Seconds and peak MB of one process, and what it printed."""

    wall: float
    cpu: float
    megabytes: float
    printed: str = field(repr=False)

    def last_line(self) -> dict[str, Any]:
        """Return the JSON object that it printed last."""
        document: dict[str, Any] = json.loads(self.printed.strip().splitlines()[-1])
        return document


def timed(command: Sequence[str | Path], variables: Mapping[str, str] | None = None) -> Timed:
    """Run a command to its end; stderr gets a line, since a whole benchmark takes minutes.

    Raises:
        SystemExit: it failed; what it printed is shown.
    """
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    begun = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env={**inherited, **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    printed = process.stdout.read().decode(errors="replace")
    _, status, use = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[1]} failed:\n{printed[-4000:]}")
    named = next((Path(part).name for part in command if str(part).endswith(".py")), command[1])
    print(f"{time.strftime('%H:%M:%S')} {named} took {wall:.1f} s", file=sys.stderr, flush=True)
    return Timed(
        wall=wall,
        cpu=use.ru_utime + use.ru_stime,
        megabytes=use.ru_maxrss / 1024,
        printed=printed,
    )


def write_weights(network: str, file: Path, source: str = "imagenet") -> None:
    """Write the pretrained weights of a network to a file; its folder is there."""
    options = ["--model", network, "--weights", source, "--out", file]
    timed([JOB, ROOT / "sm_entrypoints/pretrained.py", *options])


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFolder:
    """Where programs of a training job find their inputs and leave their outputs."""

    folder: Path
    data: Path
    weights: Path

    @property
    def output(self) -> Path:
        """The folder of the job's output."""
        return self.folder / "output/data"

    def seconds_of_search(self) -> float:
        """Return what its last search took by its own clock, from where all was imported."""
        text = (self.output / SEARCH_SUMMARY_FILE).read_text("utf-8")
        seconds = json.loads(text)["seconds"]
        return float(seconds["total"] - seconds["start_up"])

    def variables(self, *, features: bool) -> dict[str, str]:
        """Return the job's environment; with ``features``, those of before are its input."""
        root = self.folder
        channels = {name: self.data / name for name in ("train", "valid", "test")}
        channels["weights"] = self.weights.parent
        if features:
            channels["features"] = root / "checkpoints"
        named = {f"SM_CHANNEL_{name.upper()}": str(path) for name, path in channels.items()}
        return {
            **named,
            "SM_MODEL_DIR": str(root / "model"),
            "SM_OUTPUT_DATA_DIR": str(self.output),
            "SM_CHECKPOINT_DIR": str(root / "checkpoints"),
            "TRAINING_JOB_NAME": root.name,
        }

    def run(
        self, program: str, hyperparameters: Mapping[str, object], *, features: bool = False
    ) -> Timed:
        """Run ``sm_entrypoints/<program>.py`` as a job; SageMaker's toolkit passes values so."""
        for part in ("model", "output/data", "checkpoints"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        options = [
            text
            for name, value in hyperparameters.items()
            for text in (f"--{name}", value if isinstance(value, str) else json.dumps(value))
        ]
        command = [JOB, ROOT / f"sm_entrypoints/{program}.py", *options]
        return timed(command, self.variables(features=features))
