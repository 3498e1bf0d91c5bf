"""Hyperparameters as the toolkit reads them, and the command line it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sm_entrypoints.contract.wire import OBJECTIVE_KEY, SAGEMAKER_PREFIX, decode

PROGRAM_KEY = "sagemaker_program"
SUBMIT_DIRECTORY_KEY = "sagemaker_submit_directory"
LOG_LEVEL_KEY = "sagemaker_container_log_level"
JOB_NAME_KEY = "sagemaker_job_name"
REGION_KEY = "sagemaker_region"
# Settings of the toolkit itself; all others with its prefix are settings of the framework.
_OWN = frozenset(
    {
        PROGRAM_KEY,
        SUBMIT_DIRECTORY_KEY,
        LOG_LEVEL_KEY,
        JOB_NAME_KEY,
        REGION_KEY,
        "sagemaker_enable_cloudwatch_metrics",
        "sagemaker_s3_output",
        "default_user_module_name",
        OBJECTIVE_KEY,
    }
)


def hyperparameters(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decoded hyperparameters that are the user's, sorted by name."""
    return {
        key: decode(value)
        for key, value in sorted(request.get("HyperParameters", {}).items())
        if not key.startswith(SAGEMAKER_PREFIX) and key not in _OWN
    }


def toolkit_parameters(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decoded ``sagemaker_*`` hyperparameters, which tell how to run the code."""
    return {
        key: decode(value)
        for key, value in sorted(request.get("HyperParameters", {}).items())
        if key.startswith(SAGEMAKER_PREFIX)
    }


def framework_parameters(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the ``sagemaker_*`` hyperparameters that the toolkit leaves to a framework.

    Such as ``sagemaker_torch_distributed_enabled``.
    """
    return {key: value for key, value in toolkit_parameters(request).items() if key not in _OWN}


def arguments(request: Mapping[str, Any]) -> list[str]:
    """Return the command line of the entry point: ``--key value`` sorted by key.

    A name of one letter gets one dash, a dictionary becomes ``a=1,b=x``, None the empty string.
    """
    argv = []
    for key, value in hyperparameters(request).items():
        argv += [_option(key), _argument(value)]
    return argv


def _option(key: str) -> str:
    return f"-{key}" if len(key) == 1 else f"--{key}" if key else ""


def _argument(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={each}" for key, each in sorted(value.items()))
    return "" if value is None else str(value)
