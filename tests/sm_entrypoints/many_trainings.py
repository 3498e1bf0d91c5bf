"""Run train.py's own main for many jobs in one process: torch is imported once.

    python -m tests.sm_entrypoints.many_trainings JOBS ROOT

``JOBS`` is a JSON file: by name, a job's hyperparameters (strings, as on the wire) and the files of
its ``input/config``. Each is trained on small pictures, with pretrained weights, and prints a line
of JSON: exit code, why it failed, what the instrumentation says of itself.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from sm_entrypoints.models.model import build_model
from sm_entrypoints.train import main as train
from tests.sm_entrypoints.pictures import CLASSES, job_variables, make_channels


def _weights(folder: Path, model: str, image_size: int) -> Path:
    torch.manual_seed(0)
    network = build_model(model, len(CLASSES), image_size=image_size)
    folder.mkdir(parents=True)
    save_file(dict(network.state_dict()), folder / "weights.safetensors")
    return folder


def _train(root: Path, channels: dict[str, Path], job: dict[str, Any]) -> dict[str, Any]:
    variables = job_variables(root, channels)
    for name, content in job["config"].items():
        if name == "debughookconfig.json":
            content = {**content, "LocalPath": str(root / "tensors")}
        (root / "input/config" / name).write_text(json.dumps(content))
    argv = [text for pair in job["hyperparameters"].items() for text in (f"--{pair[0]}", pair[1])]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = train(argv, variables)
    failure = root / "output/failure"
    summary = root / "output/data/instrumentation/summary.json"
    return {
        "exit_code": code,
        "failure": failure.read_text() if failure.exists() else None,
        "instrumentation": json.loads(summary.read_text())["failure"] if summary.exists() else "-",
        "arguments": json.loads((root / "output/data/training.json").read_text())["arguments"]
        if code == 0
        else None,
        "printed": printed.getvalue().splitlines(),
    }


def main(jobs_file: Path, root: Path) -> None:
    """Train every job and print what became of it."""
    jobs = json.loads(jobs_file.read_text())
    channels = make_channels(root / "data", train=4, valid=2, test=1)
    first = next(iter(jobs.values()))["hyperparameters"]
    size = int(first["image_size"])
    channels["weights"] = _weights(root / "weights", first["model"], size)
    for number, (name, job) in enumerate(jobs.items()):
        answer = _train(root / f"job-{number}", channels, job)
        print("JOB " + json.dumps({"name": name, **answer}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
