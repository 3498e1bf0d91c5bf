"""torch's random states, taken, kept and put back: dropout draws from them, nothing else here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

_CPU, _GPU = "random_state", "random_state.gpu"


class Gpus(Protocol):
    """The generators of the GPUs, as ``torch.cuda`` has them."""

    def get_rng_state(self, device: torch.device) -> Tensor:
        """Return the state of a GPU's generator, on the CPU."""

    def set_rng_state(self, new_state: Tensor, device: torch.device) -> None:
        """Put a GPU's generator into a state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomState:
    """The state of the CPU's generator, and of a GPU's where the training is there."""

    device: torch.device
    cpu: Tensor
    gpu: Tensor | None
    gpus: Gpus = torch.cuda

    @classmethod
    def now(cls, device: torch.device, gpus: Gpus = torch.cuda) -> RandomState:
        """Return the state that there is."""
        gpu = gpus.get_rng_state(device) if device.type == "cuda" else None
        return cls(device=device, cpu=torch.get_rng_state(), gpu=gpu, gpus=gpus)

    @classmethod
    def kept(
        cls, tensors: Mapping[str, Tensor], device: torch.device, gpus: Gpus = torch.cuda
    ) -> RandomState:
        """Return the state in the tensors of a checkpoint; one of another kind of device has none
        for this one's."""
        gpu = tensors.get(_GPU) if device.type == "cuda" else None
        return cls(device=device, cpu=tensors[_CPU], gpu=gpu, gpus=gpus)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps of it."""
        return {_CPU: self.cpu, **({} if self.gpu is None else {_GPU: self.gpu})}

    def restore(self) -> None:
        """Draw from here on as after :meth:`now`."""
        torch.set_rng_state(self.cpu)
        if self.gpu is not None:
            self.gpus.set_rng_state(self.gpu, self.device)
