"""Environment and command line of a training job, as SageMaker's training toolkit makes them.

After the contract of sagemaker-training 5.1.4 (``environment.py``, ``mapping.py``): the names
below, ``SM_HP_*`` as JSON, argv as ``--key value`` sorted with ``str()`` of the decoded value.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from platforms.local.context import allowed_environment
from platforms.local.job_tree import (
    HOST,
    JobTree,
    JobTreeError,
    input_data_config,
    resource_config,
)

PROGRAM_KEY = "sagemaker_program"
SUBMIT_DIRECTORY_KEY = "sagemaker_submit_directory"
LOG_LEVEL_KEY = "sagemaker_container_log_level"
# What SageMaker's SDK says about itself and the request.
_INFORMATION = ("sagemaker_job_name", "sagemaker_region")
_ESTIMATOR_PREFIX = "sagemaker_estimator_"
_FRAMEWORK_PREFIX = "sagemaker_"
_TUNING_METRIC_KEY = "_tuning_objective_metric"
_LOG_LEVEL = 20


def decode(value: str) -> Any:
    """Return a hyperparameter's value: its JSON if it is JSON, else the string itself.

    ``"4"`` → 4, ``'"4"'`` → "4", ``"adam"`` → "adam"; NaN and infinities are strings.
    """
    try:
        return json.loads(value, parse_constant=_no_constant)
    except ValueError:
        return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def hyperparameters(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decoded hyperparameters that are the user's, sorted by name."""
    return {
        key: decode(value)
        for key, value in sorted(request.get("HyperParameters", {}).items())
        if not key.startswith(_FRAMEWORK_PREFIX) and key != _TUNING_METRIC_KEY
    }


def framework_parameters(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decoded ``sagemaker_*`` hyperparameters, which tell how to run the code."""
    return {
        key: decode(value)
        for key, value in sorted(request.get("HyperParameters", {}).items())
        if key.startswith(_FRAMEWORK_PREFIX)
    }


def unknown_framework_parameters(request: Mapping[str, Any]) -> list[str]:
    """Return the ``sagemaker_*`` hyperparameters that ask for what is not done here.

    Such as ``sagemaker_torch_distributed_enabled``, which makes the toolkit start ``torchrun``.
    """
    known = (PROGRAM_KEY, SUBMIT_DIRECTORY_KEY, LOG_LEVEL_KEY, *_INFORMATION)
    return [
        key
        for key, value in framework_parameters(request).items()
        if key not in known and not key.startswith(_ESTIMATOR_PREFIX) and value not in (False, None)
    ]


def submit_directory(request: Mapping[str, Any]) -> str:
    """Return the S3 URI of the source archive.

    Raises:
        JobTreeError: the request names none.
    """
    uri = framework_parameters(request).get(SUBMIT_DIRECTORY_KEY)
    if not isinstance(uri, str) or not uri.startswith("s3://"):
        raise JobTreeError(
            f"hyperparameter {SUBMIT_DIRECTORY_KEY}={uri!r} must be the s3:// URI of a "
            "sourcedir.tar.gz: there is no container image to take the code from"
        )
    return uri


def program(request: Mapping[str, Any]) -> PurePosixPath:
    """Return the entry point, relative to the code folder.

    Raises:
        JobTreeError: the request names none, or one outside the code folder.
    """
    name = framework_parameters(request).get(PROGRAM_KEY)
    path = PurePosixPath(name) if isinstance(name, str) else PurePosixPath()
    if path.suffix != ".py" or path.is_absolute() or ".." in path.parts:
        raise JobTreeError(
            f"hyperparameter {PROGRAM_KEY}={name!r} must be a .py file in the source archive"
        )
    return path


def arguments(request: Mapping[str, Any]) -> list[str]:
    """Return the command line of the entry point: ``--key value`` sorted by key."""
    argv = []
    for key, value in hyperparameters(request).items():
        argv += [f"-{key}" if len(key) == 1 else f"--{key}", "" if value is None else str(value)]
    return argv


def job_environment(
    tree: JobTree, record: Mapping[str, Any], ours: Mapping[str, str]
) -> dict[str, str]:
    """Return all environment variables of a job; ``record`` holds the request's members, too.

    In order of precedence: the contract, the request's ``Environment``, and of our own
    environment (``ours``) only what the allow-list names: no credentials, no ``PREFECT_*``.
    """
    toolkit = {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in _toolkit_variables(tree, record).items()
    }
    environment = record.get("Environment", {})
    python_path = [str(tree.code), environment.get("PYTHONPATH", "")]
    return {
        **allowed_environment(ours),
        **environment,
        **toolkit,
        **_service_variables(tree, record),
        "PYTHONPATH": os.pathsep.join(path for path in python_path if path),
        "PYTHONUNBUFFERED": "1",  # Metrics are read from the log while the job runs.
    }


def _service_variables(tree: JobTree, record: Mapping[str, Any]) -> dict[str, str]:
    """Return what SageMaker itself sets, and where smdebug finds its config files."""
    variables = {
        "TRAINING_JOB_NAME": record["TrainingJobName"],
        "TRAINING_JOB_ARN": record["TrainingJobArn"],
        "AWS_REGION": record["Local"]["Region"],
        "SMDEBUG_CONFIG_FILE_PATH": str(tree.config / "debughookconfig.json"),
        "SMPROFILER_CONFIG_PATH": str(tree.config / "profilerconfig.json"),
        "CHECKPOINT_CONFIG_FILE_PATH": str(tree.config / "checkpointconfig.json"),
    }
    if "LocalPath" in record.get("CheckpointConfig", {}):
        # Elsewhere than in SageMaker's default, which is a sibling of the model folder.
        variables["SM_CHECKPOINT_DIR"] = str(tree.checkpoints(record))
    return variables


def _toolkit_variables(tree: JobTree, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``SM_*`` variables; what is not a string is to be written as JSON."""
    resources = resource_config(request)
    variables = {
        **_path_variables(tree),
        **_host_variables(resources),
        "SM_HPS": hyperparameters(request),
        "SM_USER_ARGS": arguments(request),
        "SM_USER_ENTRY_POINT": str(program(request)),
        "SM_MODULE_NAME": str(program(request).with_suffix("")),
        "SM_MODULE_DIR": submit_directory(request),
        "SM_FRAMEWORK_MODULE": "",
        "SM_FRAMEWORK_PARAMS": framework_parameters(request),
        "SM_INPUT_DATA_CONFIG": input_data_config(request),
        "SM_RESOURCE_CONFIG": resources,
        "SM_CHANNELS": sorted(input_data_config(request)),
        "SM_LOG_LEVEL": framework_parameters(request).get(LOG_LEVEL_KEY, _LOG_LEVEL),
    }
    variables["SM_TRAINING_ENV"] = {
        key.removeprefix("SM_").lower(): value for key, value in variables.items()
    }
    for name in variables["SM_CHANNELS"]:
        variables[f"SM_CHANNEL_{name.upper()}"] = str(tree.data / name)
    for key, value in hyperparameters(request).items():
        if "=" in key:  # No variable can have that name; argv and SM_HPS hold it.
            continue
        # Dashes stay, as in the toolkit, though no shell accepts them.
        variables[f"SM_HP_{key.upper()}"] = json.dumps(value)
    return variables


def _path_variables(tree: JobTree) -> dict[str, Any]:
    return {
        "SM_INPUT_DIR": str(tree.root / "input"),
        "SM_INPUT_CONFIG_DIR": str(tree.config),
        "SM_INPUT_DATA_DIR": str(tree.data),
        "SM_MODEL_DIR": str(tree.model),
        "SM_OUTPUT_DIR": str(tree.output),
        "SM_OUTPUT_DATA_DIR": str(tree.output_data),
        "SM_OUTPUT_INTERMEDIATE_DIR": str(tree.output / "intermediate"),
        "SM_OUTPUT_FAILURE": str(tree.failure),
    }


def _host_variables(resources: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "SM_HOSTS": [HOST],
        "SM_CURRENT_HOST": HOST,
        "SM_CURRENT_INSTANCE_TYPE": resources["current_instance_type"],
        "SM_CURRENT_INSTANCE_GROUP": resources["current_group_name"],
        "SM_CURRENT_INSTANCE_GROUP_HOSTS": [HOST],
        "SM_INSTANCE_GROUPS": [resources["current_group_name"]],
        "SM_INSTANCE_GROUPS_DICT": {
            group["instance_group_name"]: group for group in resources["instance_groups"]
        },
        "SM_IS_HETERO": False,
        "SM_NETWORK_INTERFACE_NAME": resources["network_interface_name"],
        "SM_NUM_CPUS": os.cpu_count() or 1,
        # One device file a GPU; nothing to install or to start just to count them.
        "SM_NUM_GPUS": len(list(Path("/dev").glob("nvidia[0-9]*"))),
        "SM_NUM_NEURONS": 0,
    }
