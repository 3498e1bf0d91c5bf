"""Ten numbers of any tensor, compared with NumPy's on the whole tensor."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sm_entrypoints.instrumentation.tensors.summary import (
    SAMPLE_LIMIT,
    describe,
    inactive_fraction,
    sample,
    summarize,
)

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


ODD = {
    "bool": torch.tensor([True, False, True, True]),
    "uint8": torch.tensor([0, 255], dtype=torch.uint8),
    "int64": torch.tensor([-(2**62), 2**62]),
    "float8": torch.randn(40).to(torch.float8_e4m3fn),
    "complex": torch.tensor([1 + 2j, -3j]),
    "conjugate": torch.tensor([1 + 2j, -3j]).conj(),
    "sparse": torch.tensor([[0.0, 2.0], [0.0, -4.0]]).to_sparse(),
    "huge values": torch.tensor([3.4e38, -3.4e38, 3.4e38]),
    "huge doubles": torch.tensor([1.7e308, -1.7e308], dtype=torch.float64),
    "expanded": torch.tensor([1.5]).expand(1000, 1000),
    "half at its limit": torch.tensor([65504.0, -65504.0]).half(),
    "negated view": torch.tensor([1 + 2j, -3j]).imag,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_tensors_are_described(name: str) -> None:
    found = summarize(ODD[name], (0.0, float("inf")))
    assert found.min is not None
    assert found.max is not None
    assert found.min <= found.max
    assert found.mean is not None
    assert found.min <= found.p5 <= found.p95 <= found.max  # type: ignore[operator]
    assert (found.nan, found.inf) == (0, 0)


def test_the_stored_elements_of_a_sparse_gradient_count() -> None:
    embedding = torch.nn.Embedding(100, 4, sparse=True)
    embedding(torch.tensor([3, 3, 7])).sum().backward()
    assert embedding.weight.grad is not None
    found = summarize(embedding.weight.grad)
    assert (found.min, found.max, found.zero_fraction) == (1.0, 2.0, 0.0)


def test_a_tensor_of_a_hundred_million_elements_takes_no_copy() -> None:
    tensor = torch.zeros(1, dtype=torch.int8).expand(100_000_000)
    found = summarize(tensor)
    assert (found.min, found.max, found.zero_fraction) == (0.0, 0.0, 1.0)


def test_zeros_are_all_zero_only_when_all_are() -> None:
    tensor = torch.zeros(1_000_000)
    assert summarize(tensor).zero_fraction == 1.0
    tensor[123_456] = 1.0
    almost = summarize(tensor).zero_fraction
    assert almost is not None
    assert 0.999 < almost < 1.0


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_dead_channels_are_counted(layout: torch.memory_format) -> None:
    tensor = torch.rand(16, 8, 30, 30) + 0.1
    tensor[:, [1, 4]] = 0.0
    tensor[0, 1, 0, 0] = 5.0  # active for less than one per cent
    tensor[:, 6, :, :15] = 0.0  # half active
    tensor = tensor.contiguous(memory_format=layout)
    assert inactive_fraction(tensor, (0.0, math.inf)) == 0.25


@pytest.mark.parametrize("shape", [(3, 7), (40, 4096), (2, 5, 16), (300, 4, 1, 1), (9, 2048, 7, 7)])
def test_dead_units_of_any_shape(shape: tuple[int, ...]) -> None:
    tensor = torch.ones(shape)
    channel = 1 if len(shape) == 4 else len(shape) - 1
    count = shape[channel]
    tensor.narrow(channel, 0, count // 2).zero_()
    expected = (count // 2) / count
    assert inactive_fraction(tensor, (0.0, math.inf)) == pytest.approx(expected)


def test_no_batch_has_no_dead_units() -> None:
    assert inactive_fraction(torch.zeros(5), (0.0, math.inf)) is None
    assert inactive_fraction(torch.zeros(0, 5), (0.0, math.inf)) is None
    assert inactive_fraction(torch.full((4, 2), float("nan")), (-1.0, 1.0)) == 1.0


def test_values_on_the_host() -> None:
    found = describe(np.array([1.0, np.nan, 3.0, np.inf]))
    assert (found.mean, found.nan, found.inf) == (2.0, 1, 1)
    assert describe(np.array([np.nan])).mean is None
