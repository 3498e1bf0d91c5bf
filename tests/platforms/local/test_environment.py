from __future__ import annotations

from platforms.local.environment import unknown_framework_parameters


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
