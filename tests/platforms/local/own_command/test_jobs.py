"""Jobs that bring their own command, as the SDKs' `ModelTrainer` does: a channel of scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import obstore
import pytest

from tests.worlds.local.jobs import Jobs, local_jobs

pytestmark = pytest.mark.slow

DRIVER = """
set -e
trap 'code=$?; echo "the driver failed" >> /opt/ml/output/failure; exit $code' ERR
PYTHON=$(command -v python3 || command -v python)
$PYTHON /opt/ml/input/data/sm_drivers/scripts/environment.py
source /opt/ml/input/sm_training.env
cd /opt/ml/input/data/code
$PYTHON train.py --model-dir "$SM_MODEL_DIR"
echo "Training Container Execution Completed"
"""
ENVIRONMENT = """
import json
hyperparameters = json.load(open("/opt/ml/input/config/hyperparameters.json"))
with open("/opt/ml/input/sm_training.env", "w") as file:
    file.write("export SM_MODEL_DIR='/opt/ml/model'\\n")
    file.write("export SM_HP_LR='%s'\\n" % hyperparameters["lr"])
"""
TRAIN = """
import os, sys
print("loss=0.25 at lr", os.environ["SM_HP_LR"], flush=True)
print("toolkit", [name for name in os.environ if name.startswith("SM_CHANNEL")])
names = ("MINE", "TRAINING_JOB_NAME", "AWS_ACCESS_KEY_ID")
print("mine", *(os.environ.get(name) for name in names))
if os.environ["SM_HP_LR"] == "fail":
    sys.exit(3)
open(os.path.join(sys.argv[2], "model.bin"), "w").write("weights")
"""
SCRIPT = "/opt/ml/input/data/sm_drivers/sm_train.sh"
BASH = f"chmod +x {SCRIPT} && {SCRIPT}"


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return local_jobs(tmp_path / "home")


def request(jobs: Jobs, name: str, lr: str, **algorithm: Any) -> dict[str, Any]:
    bucket = jobs.platform.defaults.bucket
    store = jobs.platform.store(bucket)
    files = {
        "sm_drivers/sm_train.sh": "#!/bin/bash\n" + DRIVER,
        "sm_drivers/scripts/environment.py": ENVIRONMENT,
        "code/train.py": TRAIN,
    }
    for key, text in files.items():
        obstore.put(store, f"input/{key}", text.encode())
    asked = jobs.request(name, "")
    asked["HyperParameters"] = {"lr": lr}
    asked["Environment"] = {"MINE": "yes"}
    asked["InputDataConfig"] = [
        {
            "ChannelName": channel,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://{bucket}/input/{channel}",
                }
            },
        }
        for channel in ("code", "sm_drivers")
    ]
    asked["AlgorithmSpecification"] = {
        "TrainingImage": "x",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        "ContainerEntrypoint": ["/bin/bash"],
        "ContainerArguments": ["-c", BASH],
        **algorithm,
    }
    return asked


def test_the_drivers_run_the_code(jobs: Jobs) -> None:
    jobs.platform.sagemaker.create_training_job(**request(jobs, "own", "0.1"))
    job = jobs.wait("own")
    log = jobs.log("own")
    assert job["TrainingJobStatus"] == "Completed", log
    assert "loss=0.25 at lr 0.1" in log
    assert "toolkit []" in log, "what the toolkit sets is not there: it does not run"
    assert "mine yes own None" in log
    assert "does not honour ContainerE" not in log
    assert job["FinalMetricDataList"][0]["Value"] == 0.25
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("own/output/model.tar.gz")
    assert job["AlgorithmSpecification"]["ContainerArguments"] == ["-c", BASH]
    stored = obstore.get(
        jobs.platform.store(jobs.platform.defaults.bucket), "input/sm_drivers/sm_train.sh"
    )
    assert bytes(stored.bytes()) == ("#!/bin/bash\n" + DRIVER).encode()


def test_a_failure_is_in_the_drivers_words(jobs: Jobs) -> None:
    jobs.platform.sagemaker.create_training_job(**request(jobs, "own", "fail"))
    job = jobs.wait("own")
    assert job["TrainingJobStatus"] == "Failed"
    assert "the driver failed" in job["FailureReason"]


def test_a_command_that_is_not_there_is_named(jobs: Jobs) -> None:
    asked = request(jobs, "own", "1", ContainerEntrypoint=["no-such-program", "--x"])
    jobs.platform.sagemaker.create_training_job(**asked)
    job = jobs.wait("own")
    assert job["TrainingJobStatus"] == "Failed"
    assert "no-such-program: No such file or directory" in job["FailureReason"]
    assert "exit code: 127" in job["FailureReason"].lower().replace("exitcode", "exit code:")


def test_arguments_without_an_entry_point_are_named(jobs: Jobs) -> None:
    algorithm = jobs.request("plain", "print('x')")["AlgorithmSpecification"]
    asked = jobs.request(
        "plain",
        "print('x')",
        AlgorithmSpecification={**algorithm, "ContainerArguments": ["train"]},
    )
    jobs.platform.sagemaker.create_training_job(**asked)
    jobs.wait("plain")
    assert "does not honour AlgorithmSpecification.ContainerArguments" in jobs.log("plain")
