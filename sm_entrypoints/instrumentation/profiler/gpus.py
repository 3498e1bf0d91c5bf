"""Read how busy the GPUs are, through NVML, NVIDIA's own management library.

The driver brings NVML; ``nvidia-ml-py`` (the module ``pynvml``) binds it. The numbers are those of
SageMaker's profiler: GPUUtilization is the share of time in which a kernel ran, and
GPUMemoryUtilization the share of the memory in use by any process. (NVML's ``utilization.memory``,
and ``torch.cuda.memory_usage``, tell how busy the memory's *bus* is.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# Type, name, dimension, value: see counters.
Event = tuple[str, str, str, float]

_MISSING = "nvidia-ml-py is not installed, so GPUs are not sampled"


def torch_sees_one() -> bool:
    """Tell whether torch can use a GPU here."""
    # Deferred: the sampler of scripts without torch must not pay seconds for its import.
    import torch

    return torch.cuda.is_available()


def has_device_file() -> bool:
    """Tell whether the machine has an NVIDIA GPU, without torch."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


class Gpus:
    """The GPUs that this job may use; none where ``present`` says so.

    ``failure`` is None, or why GPUs that are there are not sampled (any more). Names count the
    GPUs of the job, ``gpu0`` first, as CUDA does.

    Args:
        variables: where CUDA_VISIBLE_DEVICES is looked up.
        present: tells whether there is any.
    """

    def __init__(
        self,
        variables: Mapping[str, str] = os.environ,
        *,
        present: Callable[[], bool] = torch_sees_one,
    ) -> None:
        self.failure: str | None = None
        self._devices: list[Callable[[], tuple[float, float]]] = []
        # NVML's errors, once its bindings are there: each is a class of its own below this one.
        self._errors: tuple[type[Exception], ...] = ()
        if not present():
            return
        try:
            import pynvml
        except ImportError:
            self.failure = _MISSING
            return
        self._errors = (pynvml.NVMLError,)
        try:
            pynvml.nvmlInit()
            handles = _visible(pynvml, variables.get("CUDA_VISIBLE_DEVICES"))
            self._devices = [_reader(pynvml, handle) for handle in handles]
        except self._errors as error:
            self.failure = f"NVML: {error}"

    def read(self) -> list[Event]:
        """Return the use and the taken memory of each GPU, in percent.

        When one cannot be read (it fell off the bus, or is a slice that NVML tells nothing of),
        none is read again, and ``failure`` says why.
        """
        events: list[Event] = []
        try:
            for index, read in enumerate(self._devices):
                busy, taken = read()
                events.append(("gpu", f"gpu{index}", "GPUUtilization", busy))
                events.append(("gpu", f"gpu{index}", "GPUMemoryUtilization", taken))
        except self._errors as error:
            self.failure = f"NVML: {error}"
            self._devices = []
            return []
        return events


def _reader(nvml: Any, handle: Any) -> Callable[[], tuple[float, float]]:
    def read() -> tuple[float, float]:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        busy = nvml.nvmlDeviceGetUtilizationRates(handle).gpu
        return float(busy), 100 * memory.used / max(1, memory.total)

    return read


def _visible(nvml: Any, chosen: str | None) -> Sequence[Any]:
    """Return NVML's handles of the GPUs that CUDA_VISIBLE_DEVICES leaves, in its order.

    Its entries are numbers, or the beginnings of UUIDs; CUDA ends at the first that it does not
    know.
    """
    handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    if chosen is None:
        return handles
    identities = [_text(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    visible = []
    for entry in (part.strip() for part in chosen.split(",")):
        numbered = entry.isdecimal() and int(entry) < len(handles)
        fits = [i for i, identity in enumerate(identities) if entry and identity.startswith(entry)]
        if not numbered and len(fits) != 1:
            break
        visible.append(handles[int(entry) if numbered else fits[0]])
    return visible


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
