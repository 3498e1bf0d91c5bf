"""Tuning requests whose trials are one-second scripts run by this very interpreter."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from platforms.archives import write_archive
from platforms.job_status import TERMINAL
from platforms.local.context import LocalContext, local_context
from platforms.local.tuning.jobs import HyperParameterTuningJobs
from platforms.settings import Settings
from tests.worlds.waiting import wait_for

BUCKET = "s3://whippet-local"
ROLE = "arn:aws:iam::000000000000:role/whippet-local"
METRIC = {"Name": "valid:loss", "Regex": '"valid:loss": ([0-9.nan]+)'}

# Prints its objective and does as its hyperparameters say.
_PROGRAM = """
import argparse, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("-x", type=float, required=True)
parser.add_argument("--do", default="train")
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--seconds", type=float, default=0.0)
arguments, _ = parser.parse_known_args()
if arguments.do == "fail" or (arguments.do == "half" and arguments.x < 0.5):
    sys.exit("no memory left, says the trial")
for epoch in range(arguments.epochs):
    if arguments.do == "nan" or (arguments.do == "nan-first" and arguments.x < 0.5):
        print('"valid:loss": nan', flush=True)
    elif arguments.do != "silent":
        print('"valid:loss":', arguments.x + 1 / (epoch + 1), flush=True)
    time.sleep(arguments.seconds)
"""


def make_context(folder: Path) -> LocalContext:
    """Return a context in a folder with an awkward name, the program in its bucket."""
    context = local_context(
        Settings(home=folder / 'it\'s a "hôme"', job_python=Path(sys.executable))
    )
    code = folder / "code"
    (code / "sm_entrypoints").mkdir(parents=True)
    (code / "sm_entrypoints" / "train.py").write_text(_PROGRAM, encoding="utf-8")
    target = context.buckets.path(f"{BUCKET}/code/sourcedir.tar.gz")
    target.parent.mkdir(parents=True)
    write_archive(code, target)
    data = context.buckets.path(f"{BUCKET}/data/train/a")
    data.mkdir(parents=True)
    (data / "1.jpg").write_bytes(b"jpg")
    return context


def continuous(name: str = "x", low: str = "0", high: str = "1") -> dict[str, Any]:
    """Return ParameterRanges of one continuous hyperparameter."""
    each = {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": "Linear"}
    return {"ContinuousParameterRanges": [each]}


def tuning_request(
    name: str, *, jobs: int | None = 3, parallel: int = 2, static=None, **config: Any
) -> dict[str, Any]:
    """Return a CreateHyperParameterTuningJob request; ``config`` goes into its config."""
    limits = {"MaxParallelTrainingJobs": parallel}
    if jobs is not None:
        limits["MaxNumberOfTrainingJobs"] = jobs
    source = {"S3DataType": "S3Prefix", "S3Uri": f"{BUCKET}/data/train"}
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "RandomSeed": 7,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": METRIC["Name"]},
            "ResourceLimits": limits,
            "ParameterRanges": continuous(),
            **config,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {
                "sagemaker_program": '"sm_entrypoints/train.py"',
                "sagemaker_submit_directory": f'"{BUCKET}/code/sourcedir.tar.gz"',
                **(static or {}),
            },
            "AlgorithmSpecification": {
                "TrainingImage": "whippet-local/pytorch-training:2.14-cpu",
                "TrainingInputMode": "File",
                "MetricDefinitions": [METRIC],
            },
            "RoleArn": ROLE,
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": f"{BUCKET}/jobs"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 120},
        },
    }


def create(context: LocalContext, request: dict[str, Any]) -> str:
    """Create a tuning job and return its name."""
    HyperParameterTuningJobs(context).create_hyper_parameter_tuning_job(**request)
    name: str = request["HyperParameterTuningJobName"]
    return name


def describe(context: LocalContext, name: str) -> dict[str, Any]:
    """Describe a tuning job."""
    return HyperParameterTuningJobs(context).describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name
    )


def trials(context: LocalContext, name: str, **request: Any) -> list[dict[str, Any]]:
    """Return the trials of a tuning job, in order of their names."""
    return HyperParameterTuningJobs(context).list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, MaxResults=100, **request
    )["TrainingJobSummaries"]


def ended(context: LocalContext, name: str) -> dict[str, Any]:
    """Return the description of a tuning job once it has ended."""

    def has_ended() -> bool:
        return describe(context, name)["HyperParameterTuningJobStatus"] in TERMINAL

    wait_for(has_ended, lambda: f"end of {describe(context, name)}", pause=0.1)
    return describe(context, name)
