"""The processes of one job: torchrun's group, and the request to stop.

Usually there is one process; then every function here returns at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Literal, NoReturn

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from sm_entrypoints.job.environment import Environment

StopReason = Literal["sigterm", "rule"]
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# What SageMaker shows of a failure.
_MOST_BYTES = 1024


@contextmanager
def process_group(environment: Environment) -> Iterator[None]:
    """Join the group that torchrun's variables describe."""
    if environment.world_size == 1:
        yield
        return
    backend = backend_of(environment.world_size, torch.cuda.device_count(), os.environ)
    if backend == "nccl":
        # NCCL's own tensors are on the current GPU, which would be the first one for every process.
        torch.cuda.set_device(environment.local_rank)
    distributed.init_process_group(
        backend, rank=environment.rank, world_size=environment.world_size
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def backend_of(world_size: int, gpus: int, variables: Mapping[str, str]) -> Literal["nccl", "gloo"]:
    """Return how processes talk to each other: NCCL where each has a GPU to itself, else gloo.

    Instances that are rehearsed on one machine share its GPUs, which NCCL refuses.

    Args:
        world_size: number of processes of the job.
        gpus: number of GPUs of this machine.
        variables: torchrun's: ``MASTER_ADDR``, ``LOCAL_WORLD_SIZE``.
    """
    local = int(variables.get("LOCAL_WORLD_SIZE", "1"))
    rehearsed = variables.get("MASTER_ADDR", "") in _LOOPBACK and local < world_size
    return "gloo" if rehearsed or local > gpus else "nccl"


def end(code: int) -> NoReturn:
    """End this process of a job with an exit code; everything is written by now.

    One of several does not wait for the threads that gloo leaves behind: where Python takes the
    process apart while one of them still ends, the C++ library aborts it.
    """
    if os.environ.get("WORLD_SIZE", "1") not in ("", "1"):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def joined() -> bool:
    """Whether there are other processes."""
    return distributed.is_available() and distributed.is_initialized()


def wrap(network: nn.Module) -> nn.Module:
    """Return the network whose backward pass averages gradients over the processes."""
    return DistributedDataParallel(network) if joined() else network


def total(sums: Tensor) -> Tensor:
    """Return the sums over all processes, on the CPU."""
    if not joined():
        return sums.cpu()
    shared = sums.to(_device(), copy=True)
    distributed.all_reduce(shared)
    return shared.cpu()


def leaders_text(text: str) -> str:
    """Return the leader's text, at most its first 1,024 bytes; wait until the leader has come."""
    if not joined():
        return text
    written = text.encode()[:_MOST_BYTES].ljust(_MOST_BYTES, b"\0")
    shared = torch.tensor(list(written), dtype=torch.uint8, device=_device())
    distributed.broadcast(shared, 0)
    return bytes(shared.tolist()).rstrip(b"\0").decode(errors="ignore")


def _device() -> torch.device:
    """Return where tensors must be for the group: NCCL moves only those of a GPU."""
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")


def share_buffers(model: nn.Module) -> None:
    """Give every process the leader's buffers: batch statistics differ between processes."""
    if joined():
        for buffer in model.buffers():
            distributed.broadcast(buffer, 0)


class StopRequest:
    """SIGTERM, remembered: SageMaker sends it 120 seconds before it kills a job."""

    def __init__(self) -> None:
        self._received = False

    def install(self) -> None:
        """Catch SIGTERM from now on; main thread only."""
        signal.signal(signal.SIGTERM, self._remember)

    def _remember(self, _number: int, _frame: FrameType | None) -> None:
        self._received = True

    def agreed(self) -> bool:
        """Whether any process was asked to stop; all processes get the same answer together."""
        return self.reason(rule=False) is not None

    def reason(self, *, rule: bool) -> StopReason | None:
        """Return the reason to stop, if any; all processes get the same answer at the same time.

        Args:
            rule: whether a rule of this process asks for a stop; SIGTERM takes precedence.
        """
        sigterm = self._received
        if joined():
            counts = total(torch.tensor([float(sigterm), float(rule)]))
            sigterm, rule = (count > 0 for count in counts.tolist())
        if sigterm:
            return "sigterm"
        return "rule" if rule else None
