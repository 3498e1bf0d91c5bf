"""How the processes of a job find each other."""

from __future__ import annotations

import pytest

from sm_entrypoints.job.processes import backend_of

HERE, THERE = {"MASTER_ADDR": "127.0.0.1"}, {"MASTER_ADDR": "algo-1"}


@pytest.mark.parametrize(
    ("world_size", "gpus", "variables", "backend"),
    [
        (2, 0, THERE, "gloo"),
        (2, 1, THERE, "nccl"),  # an instance each, with a GPU each
        (8, 4, {**THERE, "LOCAL_WORLD_SIZE": "4"}, "nccl"),
        (8, 1, {**THERE, "LOCAL_WORLD_SIZE": "4"}, "gloo"),
        (2, 1, HERE, "gloo"),  # two instances rehearsed on one machine take the same GPU
        (2, 2, HERE, "gloo"),
        (2, 2, {**HERE, "LOCAL_WORLD_SIZE": "2"}, "nccl"),
    ],
)
def test_nccl_needs_a_gpu_for_every_process(world_size, gpus, variables, backend):
    assert backend_of(world_size, gpus, variables) == backend
