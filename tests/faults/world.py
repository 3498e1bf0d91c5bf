"""A small world to kill in: a home, an interpreter without torch, and a run in it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from platforms import Platform, Settings
from platforms.archives import write_archive
from platforms.local.connection import connect_local
from tasks.requests.identity import with_tags
from tasks.requests.training import run_tags
from tasks.runs.names import RunIdentity, Step, resource_name
from tasks.runs.record import find_run, open_run
from tests.worlds.local.serving import BUCKET, ROLE, make_context, put_archive
from tests.worlds.waiting import wait_for

FLOW_RUN = "6b1f0a52-0000-4000-8000-000000000001"
# Planted in the environment of whoever runs the world: it must get nowhere.
SECRET = {"AWS_SECRET_ACCESS_KEY": "canary-5up3rs3cr3t"}
METRIC = {"Name": "valid:loss", "Regex": '"valid:loss": ([0-9.]+)'}

# A real small job: a value that its hyperparameters and data decide, an artifact, an output.
_PROGRAM = """
import argparse, hashlib, json, os, pathlib, signal, sys, threading
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float, default=0.5)
parser.add_argument("--seconds", type=float, default=0.0)
arguments, _ = parser.parse_known_args()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
data = sorted(pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).rglob("*.jpg"))
seen = hashlib.sha256(b"".join(path.read_bytes() for path in data)).hexdigest()
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps([arguments.x, seen]))
folder = pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"])
folder.mkdir(parents=True, exist_ok=True)
(folder / "result.json").write_text(json.dumps({"x": arguments.x, "data": seen}))
print('"valid:loss":', round(arguments.x + 0.25, 6), flush=True)
threading.Event().wait(arguments.seconds)
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """One home with its run; cheap to make again from the same folder in another process."""

    settings: Settings

    @property
    def home(self) -> Path:
        """The home of the local platform."""
        return self.settings.home

    @property
    def platform(self) -> Platform:
        """The local platform over the home."""
        return connect_local(self.settings)

    @property
    def run(self) -> RunIdentity:
        """The run; opened by whoever asks first, and again after a kill."""
        return open_run(self.settings, FLOW_RUN, "démo", {}, resume=False)

    def known_run(self) -> RunIdentity:
        """Return the run that was opened before."""
        found = find_run(self.settings, FLOW_RUN)
        assert found is not None
        return found

    def training_request(self, step: Step, attempt: int, **hyperparameters: Any) -> dict[str, Any]:
        """Return the request of a job of the run, tagged as tasks tag it."""
        values = {name: str(value) for name, value in hyperparameters.items()}
        return with_tags(
            {
                "TrainingJobName": resource_name(self.run, step, attempt),
                "HyperParameters": {**_code(), **values},
                **_job(),
            },
            run_tags(self.run),
        )

    def tuning_request(self, attempt: int, *, trials: int) -> dict[str, Any]:
        """Return the request of a search of the run."""
        values = {"Name": "x", "MinValue": "0", "MaxValue": "1", "ScalingType": "Linear"}
        config = {
            "Strategy": "Random",
            "RandomSeed": 7,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "valid:loss"},
            "ResourceLimits": {"MaxParallelTrainingJobs": 2, "MaxNumberOfTrainingJobs": trials},
            "ParameterRanges": {"ContinuousParameterRanges": [values]},
        }
        quoted = {name: json.dumps(value) for name, value in _code().items()}
        return with_tags(
            {
                "HyperParameterTuningJobName": resource_name(self.run, "tune", attempt),
                "HyperParameterTuningJobConfig": config,
                "TrainingJobDefinition": {"StaticHyperParameters": quoted, **_job()},
            },
            run_tags(self.run),
        )

    def endpoint_requests(self) -> dict[Step, dict[str, Any]]:
        """Return the requests of the run's endpoint by step."""
        names: dict[Step, str] = {
            step: resource_name(self.run, step) for step in ("model", "config", "endpoint")
        }
        container = {
            "Image": "pytorch-inference:2.14",
            "ModelDataUrl": f"s3://{BUCKET}/models/model.tar.gz",
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
        }
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": names["model"],
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        bodies: dict[Step, dict[str, Any]] = {
            "model": {
                "ModelName": names["model"],
                "PrimaryContainer": container,
                "ExecutionRoleArn": ROLE,
            },
            "config": {"EndpointConfigName": names["config"], "ProductionVariants": [variant]},
            "endpoint": {"EndpointName": names["endpoint"], "EndpointConfigName": names["config"]},
        }
        return {step: with_tags(body, run_tags(self.run)) for step, body in bodies.items()}

    def processes(self) -> list[psutil.Process]:
        """Return the living processes that work in this home, but for the caller."""
        return [each for each in psutil.process_iter() if self._is_here(each)]

    def _is_here(self, process: psutil.Process) -> bool:
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            words = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
        return any(str(self.home) in word for word in words)

    def wait_until_quiet(self, allowed: int = 0) -> list[str]:
        """Wait until no more than ``allowed`` processes work here; return what is left over."""
        try:
            wait_for(lambda: len(self.processes()) <= allowed, "quiet", seconds=30)
        except AssertionError:
            return [f"still running: {_words(each)}" for each in self.processes()]
        return []

    def end(self) -> None:
        """Kill whatever is left here."""
        for process in self.processes():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue


def make_world(folder: Path) -> World:
    """Make a world in an empty folder, its code, data and model in the bucket."""
    context = make_context(folder, warm_start="off")
    code = folder / "code"
    (code / "sm_entrypoints").mkdir(parents=True)
    (code / "sm_entrypoints" / "train.py").write_text(_PROGRAM, encoding="utf-8")
    target = context.buckets.path(f"s3://{BUCKET}/code/sourcedir.tar.gz")
    target.parent.mkdir(parents=True)
    write_archive(code, target)
    data = context.buckets.path(f"s3://{BUCKET}/data/train/a")
    data.mkdir(parents=True)
    (data / "1.jpg").write_bytes(b"picture")
    put_archive(context, "models/model.tar.gz", {"behaviour.txt": b"kind: "})
    return World(settings=context.settings)


def forked(act: Callable[[], None], log: Path, **environment: str) -> int:
    """Run ``act`` in a process of its own; return its exit code, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        _be_child(act, log, environment)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _be_child(act: Callable[[], None], log: Path, environment: dict[str, str]) -> None:
    code = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.environ.update(environment)
        act()
        code = 0
    except Exception as error:  # noqa: BLE001 - the outermost edge of a process
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def _code() -> dict[str, str]:
    return {
        "sagemaker_program": "sm_entrypoints/train.py",
        "sagemaker_submit_directory": f"s3://{BUCKET}/code/sourcedir.tar.gz",
    }


def _job() -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/train"}
    return {
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": "whippet-local/pytorch-training:2.14-cpu",
            "TrainingInputMode": "File",
            "MetricDefinitions": [METRIC],
        },
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/jobs"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 120},
    }


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return "one that has just ended"
