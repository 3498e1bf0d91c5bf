"""What SageMaker tells a training job: channels, folders, hosts and processes.

Read once from ``SM_*`` (SageMaker's training toolkit), ``TRAINING_JOB_NAME`` and torchrun's
variables; no other module of a job reads the environment. The defaults are the container's paths.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sm_entrypoints.contract import CHECKPOINTS_BY_JOB
from sm_entrypoints.contract.errors import JobError


class EnvironmentProblem(JobError):
    """Raised when a variable of the contract cannot be read; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The folders and the place of this process in the job. Paths need not exist.

    ``checkpoints_by_job``: the checkpoint location is shared with other jobs, so that this one has
    a folder of its own in it.
    """

    channels: Mapping[str, Path] = field(default_factory=dict)
    model_dir: Path = Path("/opt/ml/model")
    output_data_dir: Path = Path("/opt/ml/output/data")
    checkpoint_dir: Path = Path("/opt/ml/checkpoints")
    checkpoints_by_job: bool = False
    config_dir: Path = Path("/opt/ml/input/config")
    failure_file: Path = Path("/opt/ml/output/failure")
    hosts: tuple[str, ...] = ("algo-1",)
    current_host: str = "algo-1"
    job_name: str = "training-job"
    rank: int = 0
    local_rank: int = 0
    world_size: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this process is the one that prints, writes and saves."""
        return self.rank == 0

    def say(self, line: str) -> None:
        """Print a line of the job's log, once for all of its processes."""
        if self.is_leader:
            print(line, flush=True)

    @property
    def own_checkpoint_dir(self) -> Path:
        """Folder of this job's checkpoints, whose parent SageMaker makes; it may not be there."""
        return (
            self.checkpoint_dir / self.job_name if self.checkpoints_by_job else self.checkpoint_dir
        )

    @classmethod
    def from_variables(cls, variables: Mapping[str, str] | None = None) -> Environment:
        """Read the contract from ``variables`` (default: the process environment).

        Raises:
            EnvironmentProblem: a number or a list is malformed, or the rank is out of range.
        """
        read = os.environ if variables is None else variables
        model_dir = Path(read.get("SM_MODEL_DIR", "/opt/ml/model"))
        output_data_dir = Path(read.get("SM_OUTPUT_DATA_DIR", "/opt/ml/output/data"))
        output_dir = Path(read.get("SM_OUTPUT_DIR", str(output_data_dir.parent)))
        config_dir = Path(read.get("SM_INPUT_CONFIG_DIR", "/opt/ml/input/config"))
        current_host = read.get("SM_CURRENT_HOST", "algo-1")
        rank, world_size = _number(read, "RANK", 0), _number(read, "WORLD_SIZE", 1)
        if not 0 <= rank < world_size:
            raise EnvironmentProblem(
                f"RANK={rank} is not below WORLD_SIZE={world_size}: start the processes with "
                "torchrun"
            )
        return cls(
            channels=_channels(read),
            model_dir=model_dir,
            output_data_dir=output_data_dir,
            checkpoint_dir=_checkpoint_dir(read, model_dir, config_dir),
            checkpoints_by_job=bool(read.get(CHECKPOINTS_BY_JOB)),
            config_dir=config_dir,
            failure_file=Path(read.get("SM_OUTPUT_FAILURE", str(output_dir / "failure"))),
            hosts=_hosts(read, current_host),
            current_host=current_host,
            job_name=read.get("TRAINING_JOB_NAME", "training-job"),
            rank=rank,
            local_rank=_number(read, "LOCAL_RANK", 0),
            world_size=world_size,
        )


def _checkpoint_dir(read: Mapping[str, str], model_dir: Path, config_dir: Path) -> Path:
    """Return where checkpoints are kept: SageMaker has no variable for it, but a file.

    ``LocalPath`` of ``CheckpointConfig`` is in there; its default is a sibling of the model folder.
    """
    if "SM_CHECKPOINT_DIR" in read:
        return Path(read["SM_CHECKPOINT_DIR"])
    try:
        config = json.loads((config_dir / "checkpointconfig.json").read_text(encoding="utf-8"))
        return Path(config["LocalPath"])
    except (OSError, ValueError, KeyError, TypeError):
        return model_dir.parent / "checkpoints"


def _number(read: Mapping[str, str], name: str, default: int) -> int:
    text = read.get(name, "") or str(default)
    try:
        return int(text)
    except ValueError:
        raise EnvironmentProblem(f"{name}={text!r} is not a whole number") from None


def _hosts(read: Mapping[str, str], current_host: str) -> tuple[str, ...]:
    text = read.get("SM_HOSTS")
    if not text:
        return (current_host,)
    try:
        hosts = json.loads(text)
    except ValueError:
        hosts = None
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise EnvironmentProblem(f"SM_HOSTS={text!r} is not a JSON list of host names")
    return tuple(hosts)


def _channels(read: Mapping[str, str]) -> dict[str, Path]:
    """Return every ``SM_CHANNEL_<NAME>``: names are lower case, as Whippet's channels are."""
    prefix = "SM_CHANNEL_"
    return {
        name.removeprefix(prefix).lower(): Path(value)
        for name, value in sorted(read.items())
        if name.startswith(prefix) and value
    }
