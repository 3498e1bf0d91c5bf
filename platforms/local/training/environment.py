"""All environment variables of a training job: the service's, the toolkit's, and a few of ours."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platforms.local.debugger.zero_code import wants_hook
from platforms.local.job_tree import JobTree
from platforms.local.own_command.command import own_command
from platforms.local.toolkit.entry_point import python_path
from platforms.local.toolkit.hyperparameters import framework_parameters
from platforms.local.toolkit.variables import toolkit_variables
from platforms.processes.environment import allowed_environment

_ESTIMATOR_PREFIX = "sagemaker_estimator_"
# By it the toolkit uploads output/intermediate while the job runs.
_OUTPUT_SYNC_KEY = "sagemaker_s3_output"


def unknown_framework_parameters(request: Mapping[str, Any]) -> list[str]:
    """Return the ``sagemaker_*`` hyperparameters that ask for what is not done here.

    Such as ``sagemaker_torch_distributed_enabled``, which makes the toolkit start ``torchrun``.
    """
    hyperparameters = request.get("HyperParameters", {})
    framework = framework_parameters(request)
    if _OUTPUT_SYNC_KEY in hyperparameters:
        framework[_OUTPUT_SYNC_KEY] = hyperparameters[_OUTPUT_SYNC_KEY]
    return [
        key
        for key, value in framework.items()
        if not key.startswith(_ESTIMATOR_PREFIX) and value not in (False, None, "")
    ]


def job_environment(
    tree: JobTree, record: Mapping[str, Any], ours: Mapping[str, str]
) -> dict[str, str]:
    """Return all environment variables of a job; ``record`` also holds the request's members.

    In order of precedence: the contract, the request's ``Environment``, and of our own environment
    (``ours``) only what the allow-list names: no credentials, no ``PREFECT_*``. A job with its own
    command gets nothing from the toolkit, which does not run then.
    """
    environment = record.get("Environment", {})
    if own_command(record):
        return {
            **_with_job_python(ours, record),
            **environment,
            **_service_variables(tree, record),
            "PYTHONUNBUFFERED": "1",
        }
    return {
        **allowed_environment(ours),
        "PYTHONIOENCODING": "UTF-8",  # As in AWS's images, whatever the user's locale.
        **_distribution_variables(),
        **environment,
        **_base_folder(tree),
        **toolkit_variables(tree, record),
        **_service_variables(tree, record),
        "PYTHONPATH": os.pathsep.join(_python_path(tree, record)),
        "PYTHONUNBUFFERED": "1",  # Metrics are read from the log while the job runs.
    }


def _with_job_python(ours: Mapping[str, str], record: Mapping[str, Any]) -> dict[str, str]:
    """Return the allowed part of our environment, with the job's ``python`` before any other."""
    allowed = allowed_environment(ours)
    first = str(Path(record["Local"]["JobPython"]).parent)
    return {**allowed, "PATH": os.pathsep.join([first, allowed.get("PATH", os.defpath)])}


def _base_folder(tree: JobTree) -> dict[str, str]:
    """Return what moves both toolkits to a tree that the job does not see at ``/opt/ml``."""
    moved = str(tree.root) != "/opt/ml"
    return {"SAGEMAKER_BASE_DIR": str(tree.root)} if moved else {}


def _python_path(tree: JobTree, record: Mapping[str, Any]) -> list[str]:
    """Return where the job imports from: its code, what the request names, and Debugger's hook."""
    extracted = tree.folder / "opt" / "ml" / "code"  # where it lies, not where the job sees it
    code = [str(tree.code / name) for name in python_path(extracted, record)]
    own_path = record.get("Environment", {}).get("PYTHONPATH", "")
    # Last: what the script or its image brings goes before.
    beside = [str(tree.bootstrap)] if wants_hook(record) else []
    return [*code, *([own_path] if own_path else []), *beside]


def _distribution_variables() -> dict[str, str]:
    """Return what the PyTorch images set for ``init_process_group``: here one host, a free port.

    Between hosts AWS uses port 7777; two jobs of one machine would meet there.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NCCL_IB_DISABLE": "1"}


def _service_variables(tree: JobTree, record: Mapping[str, Any]) -> dict[str, str]:
    """Return what SageMaker itself sets, and where smdebug finds its config files."""
    return {
        "TRAINING_JOB_NAME": record["TrainingJobName"],
        "TRAINING_JOB_ARN": record["TrainingJobArn"],
        "AWS_REGION": record["Local"]["Region"],
        "SMDEBUG_CONFIG_FILE_PATH": str(tree.config / "debughookconfig.json"),
        "SMPROFILER_CONFIG_PATH": str(tree.config / "profilerconfig.json"),
        "CHECKPOINT_CONFIG_FILE_PATH": str(tree.config / "checkpointconfig.json"),
    }
