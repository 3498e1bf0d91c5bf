"""Whether a comparison rules a loss out, and says so only then."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tasks.approval.comparison import Compared, compare, interval, mcnemar, sentence_of
from tasks.runs.approval_parts import Comparison

WHO = Compared("new-job", "old-endpoint", "old run")


def answers(both: int, new: int, old: int, neither: int) -> list[tuple[bool, bool]]:
    return (
        [(True, True)] * both
        + [(True, False)] * new
        + [(False, True)] * old
        + [(False, False)] * neither
    )


def compared(*counts: int, margin: float = 0.02) -> Comparison:
    return compare(WHO, answers(*counts), margin)


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        ((100, 40, 5, 10), "better"),
        ((1800, 60, 60, 80), "not worse"),
        # Worse for certain, but by less than the margin: that is what a margin is for.
        ((9700, 20, 120, 160), "not worse"),
        ((300, 5, 60, 35), "worse"),
        # What "not significantly worse" would let pass.
        ((20, 0, 3, 4), "too few pictures to tell"),
        # Equal on every picture, and yet hardly a picture was asked.
        ((6, 0, 0, 0), "too few pictures to tell"),
        ((85, 0, 0, 32), "too few pictures to tell"),
        ((1, 0, 0, 0), "too few pictures to tell"),
        ((600, 0, 0, 100), "not worse"),
        ((0, 0, 3, 0), "too few pictures to tell"),
        ((0, 0, 6, 0), "worse"),
    ],
)
def test_a_model_passes_only_if_the_loss_is_ruled_out(counts, outcome):
    found = compared(*counts)
    assert found.outcome == outcome
    assert -1 <= found.lower <= found.upper <= 1
    split = (found.both_right, found.only_new_right, found.only_old_right, found.both_wrong)
    assert split == counts
    assert found.pictures == sum(counts)
    assert found.difference == pytest.approx((counts[1] - counts[2]) / sum(counts))


def test_a_wider_margin_needs_fewer_pictures():
    assert compared(90, 3, 4, 3).outcome == "too few pictures to tell"
    assert compared(90, 3, 4, 3, margin=0.1).outcome == "not worse"


def test_it_says_how_many_pictures_would_tell():
    # D5 of the anchors: 10% differing answers, 2 points, 80% power: about 1,550.
    found = compared(340, 20, 20, 20)
    assert 1_500 <= found.enough <= 1_700
    said = sentence_of(found)
    assert said.startswith("Too few pictures to tell whether it is worse by more than 2 points: +0")
    assert said.endswith(f"; about {found.enough:,} would tell.")
    assert "on the same 400 test pictures" in said
    assert sentence_of(compared(300, 5, 60, 35)).startswith("It is worse than the model in service")


def test_mcnemars_exact_test_has_the_values_of_the_textbook():
    assert mcnemar(0, 0) == 1
    assert mcnemar(1, 0) == 1
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(3, 12) == mcnemar(12, 3) == pytest.approx(0.03515625)
    assert mcnemar(5_000, 5_000) == 1


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ValueError, match="no picture was answered"):
        compare(WHO, [], 0.02)


@pytest.mark.parametrize("count", [30, 117, 400])
@pytest.mark.parametrize(("new", "old"), [(0.05, 0.05), (0.02, 0.08), (0.002, 0.022)])
def test_a_bound_is_passed_by_chance_no_more_than_one_time_in_twenty(count, new, old):
    times = 4000
    draws = np.random.default_rng(count).multinomial(count, [new, old, 1 - new - old], size=times)
    lower = cache(lambda a, b: interval(a, b, count)[0])
    missed = sum(lower(int(a), int(b)) > new - old for a, b, _ in draws)
    assert missed / times < 0.06  # 0.05 and three times its own error
