"""Our variables and command lines beside those of the real sagemaker-training, on one tree."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from platforms.local.job_tree import JobTree, input_data_config, resource_config
from platforms.local.toolkit.entry_point import command
from platforms.local.toolkit.hyperparameters import arguments
from platforms.local.toolkit.variables import FRAMEWORK_MODULE, toolkit_variables
from tests.worlds.job_environment import JOB_PYTHON

REGION = "eu-west-3"
# Run in the job environment: what the toolkit makes of the tree at SAGEMAKER_BASE_DIR.
ORACLE = """
import json, os, sys
from sagemaker_training import environment, process
found = environment.Environment()
runner = process.ProcessRunner(found.user_entry_point, found.to_cmd_args(), {}, 1)
names = ("CURRENT_HOST", "SAGEMAKER_JOB_NAME", "SAGEMAKER_REGION")
print("RESULT", json.dumps({
    "variables": found.to_env_vars(),
    "arguments": found.to_cmd_args(),
    "others": {name: os.environ[name] for name in names},
    "command": runner._create_command(),
}))
"""
USER = {
    "optimizer": '"adam"',
    "plain": "adam",
    "lr": "0.001",
    "small": "1e-05",
    "epochs": "4",
    "text-number": '"4"',
    "flag": "true",
    "Off": "false",
    "none": "null",
    "empty": "",
    "quoted-empty": '""',
    "nested": '{"b": {"y": [1, 2.5, null]}, "a": "x"}',
    "layers": "[64, 128]",
    "words": '["a", "b c"]',
    "name": '"é \' \\"q\\""',
    "ünïcode": "ßtraße",
    "with.dot": "1",
    "k": "3",
    "NaN": "NaN",
    "huge": "123456789012345678901234567890",
    "python": "True",
    "shell": "$HOME; rm -rf `x`",
    "default_user_module_name": "no argument",
    "_tuning_objective_metric": '"valid:loss"',
}
FRAMEWORK = {
    "sagemaker_program": '"train.py"',
    "sagemaker_submit_directory": '"s3://bucket/code/sourcedir.tar.gz"',
    "sagemaker_container_log_level": "10",
    "sagemaker_job_name": '"pets-2026"',
    "sagemaker_region": '"eu-west-3"',
    "sagemaker_estimator_class_name": '"PyTorch"',
    "sagemaker_torch_distributed_enabled": "true",
}
LEAST = {name: FRAMEWORK[name] for name in ("sagemaker_program", "sagemaker_submit_directory")}


def record(given: dict[str, str]) -> dict[str, Any]:
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://b/d"}}}
    return {
        "TrainingJobName": "job-1",
        "HyperParameters": given,
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1},
        "InputDataConfig": [
            {**channel, "ContentType": "image/jpeg"},
            {**channel, "ChannelName": "Val-set_2", "RecordWrapperType": "None"},
        ],
        "Local": {"Region": REGION},
    }


def toolkit_says(tree: JobTree, given: dict[str, Any]) -> dict[str, Any]:
    tree.config.mkdir(parents=True)
    for name, content in {
        "hyperparameters": given["HyperParameters"],
        "inputdataconfig": input_data_config(given),
        "resourceconfig": resource_config(given),
    }.items():
        (tree.config / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    done = subprocess.run(
        [JOB_PYTHON, "-c", ORACLE],
        env={
            "SAGEMAKER_BASE_DIR": str(tree.root),
            "SAGEMAKER_TRAINING_MODULE": FRAMEWORK_MODULE,
            "TRAINING_JOB_NAME": given["TrainingJobName"],
            "AWS_DEFAULT_REGION": REGION,
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'sagemaker_training'" in done.stderr:
        pytest.skip("the job environment was made without a C compiler")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.split("RESULT ")[1])
    return found


@pytest.mark.job
@pytest.mark.parametrize(
    "hyperparameters", [LEAST, {**USER, **FRAMEWORK}], ids=["the least", "all kinds"]
)
def test_variables_and_arguments_are_the_toolkits(
    tmp_path: Path, hyperparameters: dict[str, str]
) -> None:
    tree, given = JobTree(folder=tmp_path / "with a blank"), record(hyperparameters)
    theirs = toolkit_says(tree, given)
    ours = toolkit_variables(tree, given)
    assert ours.pop("SAGEMAKER_TRAINING_MODULE") == FRAMEWORK_MODULE
    # Compared as what it holds: the order of its members says nothing.
    pairs = [json.loads(each.pop("SM_TRAINING_ENV")) for each in (ours, theirs["variables"])]
    if "NaN" in hyperparameters:  # which is not equal to itself
        assert [str(each["hyperparameters"].pop("NaN")) for each in pairs] == ["nan", "nan"]
    assert pairs[0] == pairs[1]
    assert ours == {**theirs["variables"], **theirs["others"]}
    assert arguments(given) == theirs["arguments"]
    tree.code.mkdir(exist_ok=True)
    assert command(tree.code, given) == [each for each in theirs["command"][1:] if each != "--"]


@pytest.mark.job
@pytest.mark.parametrize("name", ["run.sh", "bin/train"])
def test_commands_are_the_toolkits(tmp_path: Path, name: str) -> None:
    tree = JobTree(folder=tmp_path)
    given = record({**USER, **LEAST, "sagemaker_program": name})
    assert command(tree.code, given)[2] == toolkit_says(tree, given)["command"][2]
