"""The ``SM_*`` variables of a job and the others that the toolkit sets, and no more."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platforms.local.job_tree import HOST, JobTree, input_data_config, resource_config
from platforms.local.toolkit.entry_point import program, submit_directory
from platforms.local.toolkit.hyperparameters import (
    JOB_NAME_KEY,
    LOG_LEVEL_KEY,
    REGION_KEY,
    arguments,
    framework_parameters,
    hyperparameters,
    toolkit_parameters,
)

# What the PyTorch images name as the one who starts the script.
FRAMEWORK_MODULE = "sagemaker_pytorch_container.training:main"
_LOG_LEVEL = 20
# Each makes the toolkit take the group of hosts for a distributed one.
_DISTRIBUTED = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
)


def toolkit_variables(tree: JobTree, record: Mapping[str, Any]) -> dict[str, str]:
    """Return all variables that the toolkit sets for the entry point of a job.

    Args:
        tree: the job's folders, as the job sees them.
        record: the request's members, the job's name and its region.
    """
    framework = toolkit_parameters(record)
    shared = {
        **_paths(tree),
        **_hosts(record),
        "framework_module": FRAMEWORK_MODULE,
        "input_data_config": input_data_config(record),
        "log_level": framework.get(LOG_LEVEL_KEY, _LOG_LEVEL),
        "module_dir": submit_directory(record),
        "module_name": str(program(record)).removesuffix(".py"),
        "user_entry_point": str(program(record)),
    }
    values = {
        **shared,
        "channels": sorted(shared["input_data_config"]),
        "framework_params": framework_parameters(record),
        "hps": hyperparameters(record),
        "training_env": _training_environment(tree, record, shared),
        "user_args": arguments(record),
    }
    values |= {f"channel_{name}": str(tree.data / name) for name in values["channels"]}
    # No variable can have a "=" in its name; argv and SM_HPS hold that hyperparameter.
    values |= {f"hp_{key}": each for key, each in values["hps"].items() if "=" not in key}
    return {
        # Dashes stay, as in the toolkit, though no shell accepts them.
        **{f"SM_{key.upper()}": _text(value) for key, value in values.items()},
        "CURRENT_HOST": HOST,
        "SAGEMAKER_JOB_NAME": _text(framework.get(JOB_NAME_KEY, "")),
        "SAGEMAKER_REGION": _text(framework.get(REGION_KEY, record["Local"]["Region"])),
        "SAGEMAKER_TRAINING_MODULE": FRAMEWORK_MODULE,
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _training_environment(
    tree: JobTree, record: Mapping[str, Any], shared: Mapping[str, Any]
) -> dict[str, Any]:
    """Return ``SM_TRAINING_ENV``: the toolkit's properties, under its own names for them."""
    groups = shared["distribution_instance_groups"]
    return {
        **shared,
        "additional_framework_parameters": framework_parameters(record),
        "channel_input_dirs": {name: str(tree.data / name) for name in shared["input_data_config"]},
        "distribution_hosts": [HOST] if shared["current_instance_group"] in groups else [],
        "hyperparameters": hyperparameters(record),
        "is_master": True,
        "is_modelparallel_enabled": None,
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        "job_name": record["TrainingJobName"],
        "master_hostname": HOST,
        "topology": [],
    }


def _paths(tree: JobTree) -> dict[str, Any]:
    return {
        "input_config_dir": str(tree.config),
        "input_dir": str(tree.root / "input"),
        "model_dir": str(tree.model),
        "output_data_dir": str(tree.output_data),
        "output_dir": str(tree.output),
        "output_intermediate_dir": str(tree.output / "intermediate"),
    }


def _hosts(record: Mapping[str, Any]) -> dict[str, Any]:
    resources, framework = resource_config(record), framework_parameters(record)
    group = resources["current_group_name"]
    distributed = [group] if any(framework.get(key) for key in _DISTRIBUTED) else []
    return {
        "current_host": HOST,
        "current_instance_group": group,
        "current_instance_group_hosts": [HOST],
        "current_instance_type": resources["current_instance_type"],
        "distribution_instance_groups": framework.get(
            "sagemaker_distribution_instance_groups", distributed
        ),
        "hosts": resources["hosts"],
        "instance_groups": [each["instance_group_name"] for each in resources["instance_groups"]],
        "instance_groups_dict": {
            each["instance_group_name"]: each for each in resources["instance_groups"]
        },
        "is_hetero": False,
        "network_interface_name": resources["network_interface_name"],
        "num_cpus": os.cpu_count() or 1,
        # One device file a GPU; nothing to install or to start just to count them.
        "num_gpus": len(list(Path("/dev").glob("nvidia[0-9]*"))),
        "num_neurons": 0,
        "resource_config": resources,
    }
