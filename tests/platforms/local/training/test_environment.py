from __future__ import annotations

from pathlib import Path

from platforms.local.job_tree import JobTree
from platforms.local.training.environment import job_environment, unknown_framework_parameters


def test_what_the_toolkit_would_do_and_we_do_not() -> None:
    request = {
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_container_log_level": "10",
            "sagemaker_job_name": '"pets"',
            "sagemaker_estimator_class_name": '"PyTorch"',
            "sagemaker_torch_distributed_enabled": "true",
            "sagemaker_mpi_enabled": "false",
            "sagemaker_s3_output": '"s3://b/k"',
        }
    }
    assert unknown_framework_parameters(request) == [
        "sagemaker_torch_distributed_enabled",
        "sagemaker_s3_output",
    ]


def test_the_toolkits_are_moved_to_a_tree_that_is_not_at_opt_ml(tmp_path: Path) -> None:
    record = {
        "TrainingJobName": "job",
        "TrainingJobArn": "arn",
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": "s3://b/k",
        },
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge"},
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "Local": {"Region": "us-east-1"},
    }
    tree = JobTree(folder=tmp_path)
    assert job_environment(tree, record, {})["SAGEMAKER_BASE_DIR"] == str(tree.root)
    assert "SAGEMAKER_BASE_DIR" not in job_environment(tree.as_seen(contained=True), record, {})
