"""The ``/opt/ml`` tree of one training job, inside the job's folder, with its config files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from platforms.errors import WhippetError
from platforms.local.boundary.inputs import Inputs
from platforms.local.boundary.steps import Step
from platforms.local.buckets.buckets import Buckets
from platforms.local.records import write_json

HOST = "algo-1"
_CONTAINER_ROOT = PurePosixPath("/opt/ml")


class JobTreeError(WhippetError):
    """Raised when a request names a path or data that a job's tree cannot have."""


class _Place:
    """A path of a job: below the tree that it sees, or below the folder of its record."""

    def __init__(self, base: Literal["root", "folder"], *parts: str) -> None:
        self._base, self._parts = base, parts

    def __get__(self, tree: JobTree, owner: type[JobTree]) -> Path:
        base: Path = getattr(tree, self._base)
        return base.joinpath(*self._parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTree:
    """Paths of one training job.

    Attributes:
        folder: that of its record.
        at: where the job sees its tree, when that is not where it lies.
    """

    folder: Path
    at: Path | None = None

    scratch = _Place("folder", "boundary")
    """What the job writes elsewhere than in its tree; removed when it has ended."""
    config = _Place("root", "input", "config")
    """Config files that SageMaker writes."""
    data = _Place("root", "input", "data")
    """Input channels."""
    code = _Place("root", "code")
    """The extracted source archive; the working folder of the job."""
    model = _Place("root", "model")
    """What becomes model.tar.gz."""
    output = _Place("root", "output")
    """Parent of ``data``, ``failure``, ``intermediate`` and ``tensors``."""
    output_data = _Place("root", "output", "data")
    """What becomes output.tar.gz."""
    failure = _Place("root", "output", "failure")
    """Where the job may say why it failed."""
    log = _Place("folder", "log.txt")
    """Stdout and stderr of the job, in order, with the platform's own lines."""
    log_times = _Place("folder", "log-times.txt")
    """When how many bytes of the log had been written."""
    supervisor_log = _Place("folder", "supervisor.txt")
    """What the supervisor itself has to say: empty unless it failed."""
    metrics = _Place("folder", "metrics.jsonl")
    """All points of all metrics: JSON lines of ``name``, ``value``, ``timestamp`` (unix s)."""
    framework_profile = _Place("root", "output", "profiler")
    """Where smdebug's framework profiling writes: SageMaker's default path."""
    bootstrap = _Place("root", "input", "debugger")
    """Modules that the job's Python runs before its script: at the end of PYTHONPATH."""
    system_samples = _Place("folder", "system-samples")
    """What was sampled of the machine beside the job: a folder an hour; the job sees none."""
    profiler_output = _Place("folder", "profiler-output")
    """System samples as they go to the bucket: ``system/incremental``, whole lines only."""

    @property
    def root(self) -> Path:
        """What is ``/opt/ml`` in the container."""
        return self.at or self.folder / "opt" / "ml"

    def as_seen(self, *, contained: bool) -> JobTree:
        """Return the tree with the paths as the job sees them."""
        return replace(self, at=Path(_CONTAINER_ROOT)) if contained else self

    def inside(self, path: str) -> Path:
        """Return where a container path (``/opt/ml/...``) lies in this tree.

        Raises:
            JobTreeError: it is not below ``/opt/ml``: there is no container to hold it.
        """
        pure = PurePosixPath(path)
        if ".." in pure.parts or not pure.is_relative_to(_CONTAINER_ROOT):
            raise JobTreeError(f"LocalPath {path!r} must be below /opt/ml without '..'")
        return self.root / pure.relative_to(_CONTAINER_ROOT)

    def tensors(self, request: Mapping[str, Any]) -> Path:
        """Return where smdebug saves tensors."""
        config = request.get("DebugHookConfig", {})
        return self.inside(config.get("LocalPath", "/opt/ml/output/tensors"))

    def checkpoints(self, request: Mapping[str, Any]) -> Path:
        """Return the folder that is kept equal with ``CheckpointConfig.S3Uri``."""
        config = request.get("CheckpointConfig", {})
        return self.inside(config.get("LocalPath", "/opt/ml/checkpoints"))

    def make(self, request: Mapping[str, Any], inputs: Inputs) -> list[Step]:
        """Create the folders, the config files and the channels of a job. Returns the steps with
        which a boundary shows the channels; with those, nothing is copied.

        Raises:
            JobTreeError: a channel's data is missing; in SageMaker's words. WhippetError: there is
            no room for the copies of a channel.
        """
        for folder in (self.config, self.data, self.model, self.output_data):
            folder.mkdir(parents=True, exist_ok=True)
        self.checkpoints(request).mkdir(parents=True, exist_ok=True)
        (self.output / "intermediate").mkdir(exist_ok=True)
        seen = self.as_seen(contained=inputs.mechanism.contained)
        for name, content in seen._config_files(request).items():
            write_json(self.config / name, content)
        steps: list[Step] = []
        for channel in request.get("InputDataConfig", []):
            uri, name = channel_source(channel, request, inputs.buckets), channel["ChannelName"]
            fast = input_mode(channel, request) == "FastFile"
            steps += inputs.deliver(uri, self.data / name, seen.data / name, read_only=fast)
        return steps

    def _config_files(self, request: Mapping[str, Any]) -> dict[str, Any]:
        files: dict[str, Any] = {
            "hyperparameters.json": request.get("HyperParameters", {}),
            "inputdataconfig.json": input_data_config(request),
            "resourceconfig.json": resource_config(request),
        }
        if "DebugHookConfig" in request:
            files["debughookconfig.json"] = {
                **request["DebugHookConfig"],
                "LocalPath": str(self.tensors(request)),
            }
        if "ProfilerConfig" in request:
            files["profilerconfig.json"] = request["ProfilerConfig"]
        if "CheckpointConfig" in request:
            files["checkpointconfig.json"] = {
                **request["CheckpointConfig"],
                "LocalPath": str(self.checkpoints(request)),
            }
        return files


def channel_source(channel: Mapping[str, Any], request: Mapping[str, Any], buckets: Buckets) -> str:
    """Return the URI of a channel's S3 prefix, which has at least one object.

    Raises:
        JobTreeError: nothing is there; worded as CreateTrainingJob's ValidationException
            (aws/amazon-sagemaker-examples#2267).
    """
    uri: str = channel["DataSource"]["S3DataSource"]["S3Uri"]
    if buckets.has_objects(uri):
        return uri
    bucket = uri.removeprefix("s3://").split("/")[0]
    raise JobTreeError(
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        f"the bucket exists in the selected region (local: {buckets.where(bucket)}), that "
        f'objects exist under that S3 prefix, and that the role "{request["RoleArn"]}" has '
        f'"s3:ListBucket" permissions on bucket "{bucket}".'
    )


def input_mode(channel: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    """Return how a channel is to be delivered: ``File`` or ``FastFile``."""
    mode: str = channel.get("InputMode", request["AlgorithmSpecification"]["TrainingInputMode"])
    return mode


def resource_config(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return resourceconfig.json: one host, whatever the request says about instances."""
    instance_type = request["ResourceConfig"].get("InstanceType", "ml.m5.xlarge")
    group = {
        "instance_group_name": "homogeneousCluster",
        "instance_type": instance_type,
        "hosts": [HOST],
    }
    return {
        "current_host": HOST,
        "current_instance_type": instance_type,
        "current_group_name": group["instance_group_name"],
        "hosts": [HOST],
        "instance_groups": [group],
        "network_interface_name": "lo",
    }


def input_data_config(request: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return inputdataconfig.json: how each channel is delivered."""
    return {
        channel["ChannelName"]: {
            "TrainingInputMode": input_mode(channel, request),
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
        }
        for channel in request.get("InputDataConfig", [])
    }
