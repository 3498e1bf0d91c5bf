"""The answer of DescribeTrainingJob, made from a job's record.

Which members the service fills in was learnt from its real answers. Members that those answers have
only sometimes are left out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from platforms.local.debugger.system_sampling import is_profiled
from platforms.local.records import Record, with_times
from platforms.validation import service_model

_MOST_SECONDS = 86_400
_PROFILING_INTERVAL_MS = 500
# Hosts of images that SageMaker knows: it reads metrics of their jobs in any case.
_FRAMEWORK_IMAGES = ("whippet-local/", ".dkr.ecr.")


def described(record: Record) -> dict[str, Any]:
    """Return the answer of DescribeTrainingJob."""
    shape = service_model("sagemaker").operation_model("DescribeTrainingJob").output_shape
    members = set(getattr(shape, "members", ()))
    description: dict[str, Any] = {key: value for key, value in record.items() if key in members}
    description |= {
        "AlgorithmSpecification": _algorithm(record.get("AlgorithmSpecification", {})),
        # SDK v2's `attach` relies on KmsKeyId.
        "OutputDataConfig": {
            "KmsKeyId": "",
            "CompressionType": "GZIP",
            **record["OutputDataConfig"],
        },
        "StoppingCondition": {
            "MaxRuntimeInSeconds": _MOST_SECONDS,
            **record.get("StoppingCondition", {}),
        },
        "ProfilingStatus": _profiling_status(record),
    }
    if "InputDataConfig" in record:
        description["InputDataConfig"] = [_channel(each) for each in record["InputDataConfig"]]
    if "DebugHookConfig" in record:
        description["DebugHookConfig"] = {
            "CollectionConfigurations": [],
            **record["DebugHookConfig"],
        }
    if description["ProfilingStatus"] == "Enabled":
        interval = {"ProfilingIntervalInMilliseconds": _PROFILING_INTERVAL_MS}
        description["ProfilerConfig"] = {**interval, **record["ProfilerConfig"]}
    answer: dict[str, Any] = with_times(description)
    return answer


def _algorithm(given: Mapping[str, Any]) -> dict[str, Any]:
    image = str(given.get("TrainingImage", ""))
    measured = bool(given.get("MetricDefinitions"))
    series = measured or any(host in image for host in _FRAMEWORK_IMAGES)
    return {"EnableSageMakerMetricsTimeSeries": series, **given}


def _channel(given: Mapping[str, Any]) -> dict[str, Any]:
    source = dict(given["DataSource"])
    if "S3DataSource" in source:
        copies = {"S3DataDistributionType": "FullyReplicated"}
        source["S3DataSource"] = {**copies, **source["S3DataSource"]}
    return {
        "CompressionType": "None",
        "RecordWrapperType": "None",
        **given,
        "DataSource": source,
    }


def _profiling_status(record: Mapping[str, Any]) -> str:
    return "Enabled" if is_profiled(record) else "Disabled"
