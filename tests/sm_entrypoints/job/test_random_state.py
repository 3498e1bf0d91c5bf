"""What was drawn after a state was taken is drawn again when it is put back, on a GPU as well."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sm_entrypoints.job.random_state import RandomState

GPU, CPU = torch.device("cuda"), torch.device("cpu")


class OneGpu:
    """The generator of a GPU, on a machine that has none."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(7)

    def get_rng_state(self, device: torch.device) -> Tensor:
        assert device == GPU
        return self.generator.get_state()

    def set_rng_state(self, new_state: Tensor, device: torch.device) -> None:
        assert device == GPU
        self.generator.set_state(new_state)

    def drawn(self) -> list[float]:
        return torch.rand(4, generator=self.generator).tolist()


def test_both_generators_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    gpus = OneGpu()
    save_file(RandomState.now(GPU, gpus).tensors(), tmp_path / "checkpoint")
    drawn = [torch.rand(4).tolist(), gpus.drawn()]
    assert [torch.rand(4).tolist(), gpus.drawn()] != drawn
    RandomState.kept(load_file(tmp_path / "checkpoint"), GPU, gpus).restore()
    assert [torch.rand(4).tolist(), gpus.drawn()] == drawn


def test_a_checkpoint_of_another_kind_of_device_has_the_cpus_state_alone() -> None:
    gpus = OneGpu()
    of_gpu, of_cpu = RandomState.now(GPU, gpus).tensors(), RandomState.now(CPU, gpus).tensors()
    before = gpus.generator.get_state()
    drawn = torch.rand(4).tolist()
    for kept, device in ((of_gpu, CPU), (of_cpu, GPU)):
        RandomState.kept(kept, device, gpus).restore()
        assert torch.rand(4).tolist() == drawn
        assert torch.equal(gpus.generator.get_state(), before)
