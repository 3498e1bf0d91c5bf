from __future__ import annotations

import pytest

from sm_entrypoints.contract.scaling import Scale, drawn_scale, edge_of
from tests.examples import run_examples


@pytest.mark.parametrize(
    ("scale", "low", "high", "drawn"),
    [
        ("Auto", 1e-4, 1e-2, "Logarithmic"),
        ("Auto", 1e-4, 9.9e-3, "Linear"),
        ("Auto", 0, 1e9, "Linear"),
        ("Auto", -1, 100, "Linear"),
        ("Linear", 1e-5, 1, "Linear"),
        ("ReverseLogarithmic", 0, 0.99, "ReverseLogarithmic"),
    ],
)
def test_what_auto_draws_on(scale: Scale, low: float, high: float, drawn: Scale) -> None:
    assert drawn_scale(scale, low, high) == drawn


def test_auto_and_what_it_stands_for_have_the_same_edges() -> None:
    for exponent in range(-50, -9):
        value = 10 ** (exponent / 10)
        found = edge_of(value, 1e-5, 0.1, "Auto")
        assert found == edge_of(value, 1e-5, 0.1, "Logarithmic")
        assert (found is None) == (-49 <= exponent <= -11)


def test_examples() -> None:
    run_examples("sm_entrypoints.contract.scaling:drawn_scale")
    run_examples("sm_entrypoints.contract.scaling:edge_of")
