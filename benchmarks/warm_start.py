"""How soon a local job begins, cold and warm: the same request, in turn.

    .venv/bin/python -m benchmarks.warm_start

The script of these jobs imports torch and torchvision, and says when. Spans begin with the request
(``create_training_job``), or when the supervisor starts the job's process. The first job, which
leaves the copy that warm ones start from, is given by itself.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import obstore
import psutil

from platforms import Platform
from platforms.archives import write_archive
from platforms.local.connection import connect_local
from platforms.local.warm_start.client import end_all
from platforms.settings import Settings

PAIRS = 12
GOAL_MS = 150
_SCRIPT = """
import time
began = time.time()
import torch, torchvision
print("TIMES", began, time.time(), flush=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Milliseconds to the script's first statement, and to the end of its imports.

    ``from_request``: since the request; ``from_start``: since the supervisor started the process.
    """

    first: float
    from_request: float
    from_start: float


def start(platform: Platform, name: str, source: str) -> Start:
    """Run one job to its end."""
    asked = time.time()
    platform.sagemaker.create_training_job(**_request(platform, name, source))
    while True:
        job = platform.sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] != "InProgress":
            break
        time.sleep(0.2)
    folder = platform.settings.home / "training-jobs" / name
    found = re.search(r"TIMES (\S+) (\S+)", (folder / "log.txt").read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit(f"the job {name} did not run: {job.get('FailureReason')}")
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    (training,) = (
        each["StartTime"]
        for each in record["SecondaryStatusTransitions"]
        if each["Status"] == "Training"
    )
    first, imported = float(found[1]), float(found[2])
    return Start(
        first=1000 * (first - asked),
        from_request=1000 * (imported - asked),
        from_start=1000 * (imported - datetime.fromisoformat(training).timestamp()),
    )


def _request(platform: Platform, name: str, source: str) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "RoleArn": platform.defaults.role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": platform.defaults.training_image,
            "TrainingInputMode": "File",
        },
        "HyperParameters": {
            "sagemaker_program": "begin.py",
            "sagemaker_submit_directory": source,
        },
        "OutputDataConfig": {"S3OutputPath": f"s3://{platform.defaults.bucket}/jobs"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 120},
    }


def _platform(home: Path, warm_start: Literal["all", "off"]) -> Platform:
    return connect_local(Settings(home=home, warm_start=warm_start))


def _source(platform: Platform, folder: Path) -> str:
    (folder / "source").mkdir()
    (folder / "source" / "begin.py").write_text(_SCRIPT, encoding="utf-8")
    archive = folder / "sourcedir.tar.gz"
    write_archive(folder / "source", archive)
    bucket = platform.defaults.bucket
    obstore.put(platform.store(bucket), "code/sourcedir.tar.gz", archive.read_bytes())
    return f"s3://{bucket}/code/sourcedir.tar.gz"


def _middle(values: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:6.0f} ms (middle half {low:.0f} to {high:.0f})"


def _memory(home: Path) -> str:
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or [""]
        if line[0] == "whippet-warm-start" and line[1].startswith(str(home)):
            return f"{process.memory_full_info().uss / 1024**2:.0f} MiB"
    return "nothing: it has ended"


def main() -> None:
    """Print the medians and quartiles."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as name:
        home = Path(name) / "home"
        warm, cold = _platform(home, "all"), _platform(home, "off")
        source = _source(warm, Path(name))
        one = start(warm, "first", source)
        pairs = [
            (start(warm, f"warm-{each}", source), start(cold, f"cold-{each}", source))
            for each in range(PAIRS)
        ]
        memory = _memory(home)
        end_all(home)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, {PAIRS} pairs")
    for text, attribute in (
        ("request to first statement", "first"),
        ("request to torch imported", "from_request"),
        ("start of the process to torch imported", "from_start"),
    ):
        print(f"{text}; the first job: {getattr(one, attribute):.0f} ms")
        for kind, index in (("cold", 1), ("warm", 0)):
            print(f"  {kind}: {_middle([getattr(pair[index], attribute) for pair in pairs])}")
    ratios = [a.from_request / b.from_request for a, b in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"ratio of the second: {middle:.3f} (quartiles {low:.3f} to {high:.3f})")
    print(f"the goal for the third is {GOAL_MS} ms; memory of the copy alone: {memory}")


if __name__ == "__main__":
    main()
