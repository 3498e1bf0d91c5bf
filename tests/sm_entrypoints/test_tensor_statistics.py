"""Ten numbers of any tensor, compared with NumPy's on the whole tensor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sm_entrypoints.tensor_statistics import SAMPLE_LIMIT, sample, summarize

torch.manual_seed(0)
DENSE = torch.randn(4, 3, 8, 5)
CASES = {
    "matrix": torch.randn(30, 17),
    "scalar": torch.tensor(3.5),
    "transposed": torch.randn(30, 17).T,
    "strided": torch.randn(100)[::7],
    "channels_last": DENSE.contiguous(memory_format=torch.channels_last),
    "bfloat16": torch.randn(500).bfloat16(),
    "float16": torch.randn(500).half(),
    "float64": torch.randn(50, dtype=torch.float64),
    "integers": torch.arange(-5, 20),
    "relu": torch.randn(1000).relu(),
    "grad": torch.randn(20, requires_grad=True),
}


@pytest.mark.parametrize("name", CASES)
def test_statistics_are_numpys(name: str) -> None:
    tensor = CASES[name]
    values = tensor.detach().double().numpy()
    found = summarize(tensor)
    expected = {
        "mean": values.mean(),
        "std": values.std(),
        "min": values.min(),
        "max": values.max(),
        "abs_mean": np.abs(values).mean(),
        "p5": np.percentile(values, 5),
        "p95": np.percentile(values, 95),
        "zero_fraction": (values == 0).mean(),
    }
    for key, value in expected.items():
        assert getattr(found, key) == pytest.approx(float(value), rel=1e-4, abs=1e-5), key
    assert (found.nan, found.inf) == (0, 0)


def test_non_finite_values_are_counted_and_left_out() -> None:
    tensor = torch.tensor([1.0, 3.0, float("nan"), float("inf"), -float("inf")])
    found = summarize(tensor)
    assert (found.nan, found.inf) == (1, 2)
    assert (found.mean, found.min, found.max) == (2.0, 1.0, 3.0)


@pytest.mark.parametrize("tensor", [torch.empty(0), torch.full((3,), float("nan"))])
def test_nothing_to_describe(tensor: torch.Tensor) -> None:
    found = summarize(tensor)
    assert found.mean is None
    assert found.p95 is None
    assert found.nan == tensor.numel()


def test_one_nan_in_a_huge_tensor_is_seen() -> None:
    tensor = torch.randn(3_000_001)
    tensor[1_234_567] = float("nan")
    found = summarize(tensor)
    assert found.nan == 1
    assert found.mean == pytest.approx(0, abs=0.05)
    assert found.p95 == pytest.approx(1.645, abs=0.1)
    assert found.max == float(tensor[torch.isfinite(tensor)].max())


def test_a_sample_sees_every_channel() -> None:
    # Channel i of 64 holds i: in channels-last memory a step of 64 would see one of them only.
    tensor = torch.arange(64.0).repeat(1_000_000)
    found = sample(tensor)
    assert found.numel() <= SAMPLE_LIMIT
    assert set(found.unique().tolist()) == set(range(64))
    assert summarize(tensor).mean == pytest.approx(31.5, abs=0.5)


def test_the_tensor_is_left_alone() -> None:
    tensor = torch.randn(10, requires_grad=True)
    before = tensor.detach().clone()
    summarize(tensor * 1)
    assert torch.equal(tensor, before)
    assert tensor.grad is None
