"""What is tried: spread evenly at first, the same for the same seed, and learned from then on."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.search import SearchPlan
from sm_entrypoints.searching.sampler import Sampler
from sm_entrypoints.searching.trial import Trial

RANGES: dict[str, Any] = {
    "lr": {"type": "continuous", "min": 1e-5, "max": 1e-1, "scaling": "Logarithmic"},
    "momentum": {"type": "continuous", "min": 0, "max": 0.99, "scaling": "ReverseLogarithmic"},
    "epochs": {"type": "integer", "min": 2, "max": 5},
    "batch_size": {"type": "categorical", "values": [16, 32, 64, 128]},
}
PLAN = SearchPlan.from_document({"trials": 64, "ranges": RANGES, "seed": 3})


def first(plan: SearchPlan, count: int = 16) -> list[dict[str, str]]:
    return Sampler(plan).draw(range(count))


def ended(texts: dict[str, str], number: int) -> Trial:
    trial = Trial(number=number, texts=texts, arguments=TrainingArguments(), status="Completed")
    # The best learning rate is 1e-3.
    trial.best_loss, trial.epochs = abs(math.log10(float(texts["lr"])) + 3), 1
    return trial


@pytest.mark.parametrize("seed", [0, 1, 3, 2**31 - 1])
def test_the_first_generation_leaves_no_part_of_a_range_out(seed: int) -> None:
    drawn = first(replace(PLAN, seed=seed))
    lr = sorted(int(4 * (5 + math.log10(float(each["lr"])))) for each in drawn)
    assert lr == list(range(16)), "one in each sixteenth of the range"
    momentum = sorted(
        int(8 * -math.log10(1 - float(each["momentum"])) / 2.0000001) for each in drawn
    )
    assert momentum == [part for part in range(8) for _ in (0, 1)]
    assert Counter(each["batch_size"] for each in drawn) == {
        n: 4 for n in ("16", "32", "64", "128")
    }
    assert Counter(each["epochs"] for each in drawn) == {n: 4 for n in "2345"}


def test_draws_depend_on_the_seed_alone() -> None:
    assert first(PLAN) == first(PLAN)
    assert first(PLAN) != first(replace(PLAN, seed=4))
    assert len({str(each) for each in first(PLAN, 64)}) == 64


def test_the_second_generation_has_learned_from_the_first() -> None:
    sampler = Sampler(PLAN)
    sampler.tell([ended(texts, n) for n, texts in enumerate(sampler.draw(range(16)))])
    second = sampler.draw(range(16, 32))
    near = [each for each in second if abs(math.log10(float(each["lr"])) + 3) < 0.75]
    assert len(near) > 8, "of 16; six if drawn evenly"


def test_a_search_that_knows_earlier_trials_learns_from_them_at_once() -> None:
    sampler = Sampler(PLAN)
    earlier = [ended(texts, n).summary("old") for n, texts in enumerate(first(PLAN))]
    assert sampler.learn(earlier) == 16
    drawn = sampler.draw(range(16))
    assert sum(abs(math.log10(float(each["lr"])) + 3) < 0.75 for each in drawn) > 8


def test_random_is_random() -> None:
    drawn = first(replace(PLAN, sampling="random"))
    parts = {int(4 * (5 + math.log10(float(each["lr"])))) for each in drawn}
    assert len(parts) < 16
