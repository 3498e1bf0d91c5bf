"""Decisions on hand-made measurements: what is kept, what is not, and what the sentence says."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sm_entrypoints.comparison.decision import (
    decide_on_duration,
    decide_on_quality,
    decide_on_speed,
)
from sm_entrypoints.comparison.lane import Block
from sm_entrypoints.comparison.quality import Quality, Run
from sm_entrypoints.comparison.speed import Speed, Timing

# Block by block, relative to their mean: a machine that is not alone.
NOISE = (1.0, 1.02, 0.99, 1.01, 0.98, 1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0)
QUIET = (1.0,) * 12


def speed(
    factor: float, noise=NOISE, *, one_time: float = 0.0, validation: float = 0.0, pairs: int = 6
) -> Speed:
    """Return blocks of 10 ms an image for A and ``factor`` times that for B."""
    timings = []
    for index, wobble in zip(range(2 * pairs), noise, strict=False):
        pair, first = divmod(index, 2)
        variant = "AB"[first if pair % 2 == 0 else 1 - first]
        seconds = 1.0 * wobble * (factor if variant == "B" else 1.0)
        block = Block(images=100, seconds=seconds, lead_images=10, lead_seconds=0.1)
        timings.append(Timing(variant=variant, pair=pair, block=block))
    return Speed(
        timings=tuple(timings),
        images=1000,
        one_time={"A": 1.0, "B": 1.0 + one_time},
        epoch_start={"A": 0.0, "B": 0.0},
        validation={"A": 1.0, "B": 1.0 + validation},
    )


def quality(a: list[float], b: list[float]) -> Quality:
    runs = [
        Run(variant=variant, seed=seed, loss=loss, epochs=2, seconds=1.0)
        for variant, losses in (("A", a), ("B", b))
        for seed, loss in enumerate(losses)
    ]
    return Quality(runs=tuple(runs), images=100)


def on_speed(found: Speed | None, losses: Quality | None = None, **more):
    asked = {"job_epochs": 5, "alters_numbers": False, **more}
    return decide_on_speed(found, losses, **asked)


def test_a_clear_gain_is_kept() -> None:
    found = on_speed(speed(0.7))
    assert found.verdict == "kept"
    assert "0.7" in found.reason


def test_the_control_compares_a_variant_with_itself() -> None:
    control = speed(0.5, QUIET).control()
    assert control is not None
    assert (control.value, control.low, control.high) == (1.0, 1.0, 1.0)


def test_a_gain_within_the_noise_of_equal_blocks_is_not_kept() -> None:
    # Always faster within a pair, by 4%; but equal blocks differ by up to 10%.
    noise = (1.0, 1.0, 1.1, 1.1, 1.0, 1.0, 1.1, 1.1, 1.0, 1.0, 1.1, 1.1)
    measured = speed(0.96, noise)
    assert measured.ratio().high < 1
    assert on_speed(measured).verdict == "inconclusive"


def test_equal_variants_are_not_kept() -> None:
    rough = (1.0, 1.05, 0.96, 1.02, 0.9, 1.0, 1.03, 0.97, 1.0, 1.06, 0.93, 1.0)
    assert on_speed(speed(1.0, rough)).verdict == "inconclusive"
    assert on_speed(speed(1.0, QUIET)).verdict == "rejected"


def test_slower_is_rejected() -> None:
    found = on_speed(speed(1.3))
    assert (found.verdict, "slower" in found.reason) == ("rejected", True)


def test_too_few_pairs_decide_nothing() -> None:
    found = on_speed(speed(0.1, pairs=5))
    assert (found.verdict, "5 of 6" in found.reason) == ("inconclusive", True)
    assert on_speed(None).verdict == "inconclusive"


def test_what_is_paid_once_must_be_won_back_by_the_jobs_epochs() -> None:
    # 1,000 images an epoch: 5 s saved each.
    measured = speed(0.5, QUIET, one_time=20.0)
    assert on_speed(measured, job_epochs=3).verdict == "rejected"
    assert on_speed(measured, job_epochs=5).verdict == "kept"
    saved = measured.job_seconds("A", 5) - measured.job_seconds("B", 5)
    assert saved == pytest.approx(5 * 5.0 - 20.0)


def test_a_slower_validation_counts_each_epoch() -> None:
    assert on_speed(speed(0.5, QUIET, validation=6.0)).verdict == "rejected"


def test_a_faster_change_must_not_cost_quality() -> None:
    measured, a = speed(0.5), [0.50, 0.52, 0.48]
    worse, same = quality(a, [0.60, 0.62, 0.58]), quality(a, [0.51, 0.51, 0.48])
    assert on_speed(measured, worse, alters_numbers=True).verdict == "rejected"
    found = on_speed(measured, same, alters_numbers=True)
    assert (found.verdict, "3 seeds" in found.reason) == ("kept", True)
    assert on_speed(measured, None, alters_numbers=True).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([1.0, 1.1, 0.9], [0.5, 0.6, 0.4], "kept"),
        ([1.0, 1.1, 0.9], [1.5, 1.6, 1.4], "rejected"),
        ([1.0, 1.1, 0.9], [0.8, 1.2, 0.8], "inconclusive"),
        # Surely different, by nothing that matters.
        ([1.0, 1.1, 0.9], [0.999, 1.099, 0.899], "rejected"),
        ([math.inf] * 3, [0.5, 0.6, 0.4], "kept"),
        ([0.5, 0.6, 0.4], [0.1, math.inf, 0.1], "rejected"),
        ([math.inf] * 3, [math.inf] * 3, "inconclusive"),
    ],
)
def test_a_better_model_is_kept(a, b, verdict) -> None:
    assert decide_on_quality(quality(a, b)).verdict == verdict


@pytest.mark.parametrize(
    ("b", "seconds", "verdict"),
    [
        ([1.0, 1.1, 0.9], [0.5, 0.6, 0.55], "kept"),
        ([1.5, 1.6, 1.4], [0.5, 0.6, 0.55], "rejected"),
        ([1.0, 1.1, 0.9], [1.0, 1.01, 1.0], "rejected"),
        ([1.0, 1.1, 0.9], [0.4, 1.0, 1.0], "inconclusive"),
    ],
)
def test_fewer_epochs_must_save_time_and_not_cost_quality(b, seconds, verdict) -> None:
    made = quality([1.0, 1.1, 0.9], b)
    runs = [replace(r, seconds=seconds[r.seed]) if r.variant == "B" else r for r in made.runs]
    assert decide_on_duration(replace(made, runs=tuple(runs))).verdict == verdict


def test_whole_trainings_take_as_much_longer_as_they_were_shortened() -> None:
    found = replace(quality([1.0], [1.0]), scale={"A": 10.0, "B": 5.0})
    assert (found.job_seconds("A"), found.job_seconds("B")) == (10.0, 5.0)
    assert found.seconds_ratio().value == 0.5


def test_no_complete_seed_decides_nothing() -> None:
    assert decide_on_quality(None).verdict == "inconclusive"
    assert decide_on_duration(None).verdict == "inconclusive"


def test_a_job_that_hardly_gains_is_not_worth_a_change() -> None:
    # Each image in half the time, but one epoch of 12.0 s still takes 11.9 s.
    found = on_speed(speed(0.5, QUIET, one_time=4.9), job_epochs=1)
    assert found.verdict == "rejected"
    assert found.reason.endswith("1 epoch takes 11.9 s instead of 12.0 s: next to nothing")
    assert on_speed(speed(0.5, QUIET, one_time=4.9), job_epochs=5).verdict == "kept"
