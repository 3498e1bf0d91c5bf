"""Whole runs for tests: the `whippet` command as people start it, on data that takes seconds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from platforms import Platform, Settings, connect
from tests.worlds.pictures import write_data

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("a cat", "d'og", "äpfel")
TINY = (
    *("--model", "mobilenet_v3_small", "--weights", "none", "--image-size", "32"),
    *("--max-jobs", "1", "--max-epochs", "2", "--range", "lr=1e-3:1e-2:log"),
    *("--set", "batch_size=8", "--seed", "3"),
)
# The same with weights, so that the backbone is frozen and the search is packed into one job.
PACKED = (
    *("--model", "mobilenet_v2", "--image-size", "32", "--max-jobs", "5", "--max-epochs", "2"),
    *("--range", "lr=1e-3:1e-2:log", "--set", "batch_size=8", "--seed", "3"),
)
# Enough that a job goes on until it is stopped.
ENDLESS = ("--max-epochs", "500", "--set", "patience=0")
# What a child may know of us; WHIPPET_ and PREFECT_ variables are given by each test.
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE")


def tiny_data(root: Path) -> Path:
    """Write three classes of twelve pictures."""
    counts = {"train": 8, "valid": 2, "test": 2}
    return write_data(root, {split: dict.fromkeys(CLASSES, n) for split, n in counts.items()})


@dataclass(frozen=True, kw_only=True)
class Whippet:
    """The command line over one ``WHIPPET_HOME`` and one Prefect server.

    A command that takes longer than ``seconds`` is given up. ``umask`` is that of the commands; -1
    is ours.
    """

    home: Path
    api_url: str
    extra: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 300
    umask: int = -1

    @property
    def environment(self) -> dict[str, str]:
        """All of the environment of a command."""
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {
            **kept,
            "PYTHONUNBUFFERED": "1",
            "WHIPPET_HOME": str(self.home),
            "WHIPPET_CHROMIUM": "none",  # a PDF takes seconds; tests/tasks prints one
            "PREFECT_HOME": os.environ["PREFECT_HOME"],
            # `whippet up` keeps one where there is none: other tests must not see it.
            "PREFECT_PROFILES_PATH": str(self.home / "profiles.toml"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_API_URL": self.api_url,
            **self.extra,
        }

    @property
    def settings(self) -> Settings:
        """The settings of the commands."""
        return Settings(home=self.home)

    @property
    def platform(self) -> Platform:
        """The platform of the commands."""
        return connect(self.settings)

    def start(self, *argv: str, cwd: Path = ROOT) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, as a shell does."""
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", *argv],
            cwd=cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            umask=self.umask,
        )

    def run(self, *argv: str, cwd: Path = ROOT) -> Ended:
        """Run a command to its end."""
        return ended(self.start(*argv, cwd=cwd), self.seconds)

    def record(self, run: str) -> dict[str, Any]:
        """Return a run's record; empty when there is none yet."""
        path = self.home / "runs" / run / "run.json"
        found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return found

    def jobs(self) -> dict[str, str]:
        """Return the status of every training job, trials too, by name."""
        summaries = self.platform.sagemaker.list_training_jobs(MaxResults=100)
        return {
            job["TrainingJobName"]: job["TrainingJobStatus"]
            for job in summaries["TrainingJobSummaries"]
        }

    def tuning_jobs(self) -> dict[str, str]:
        """Return the status of every tuning job by name."""
        found = self.platform.sagemaker.list_hyper_parameter_tuning_jobs(MaxResults=100)
        return {
            job["HyperParameterTuningJobName"]: job["HyperParameterTuningJobStatus"]
            for job in found["HyperParameterTuningJobSummaries"]
        }

    def processes(self) -> list[str]:
        """Return the command lines of the living processes that work in this home.

        One that waits for the next job to start from it does not.
        """
        found = []
        for process in psutil.process_iter():
            try:
                known = process.environ().get("WHIPPET_HOME", ""), *process.cmdline()
                running = process.status() != psutil.STATUS_ZOMBIE
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if known[1:2] == ("whippet-warm-start",):
                continue
            if running and any(str(self.home) in text for text in known):
                found.append(" ".join(process.cmdline()))
        return found

    def shut_down(self) -> None:
        """Stop all that still runs in this home."""
        self.platform.shut_down()


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str
    seconds: float


def ended(process: subprocess.Popen[str], seconds: float = 300) -> Ended:
    """Wait for a command; it is killed with its group when it takes longer."""
    started = time.monotonic()
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"still running after {seconds} s:\n{out}\n{err}") from None
    return Ended(code=process.returncode, out=out, err=err, seconds=time.monotonic() - started)
