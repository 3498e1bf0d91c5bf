import numpy as np
import pandas as pd

from dashboards.figures.marks import MAX_MARKS, NOWHERE, chosen_marks, place_by_epoch, place_by_step
from dashboards.files.findings import Mark
from dashboards.files.frames import empty_training_output

EMPTY = empty_training_output().steps
X, Y = np.array([1.0, 2.0, 3.0]), np.array([3.0, 1.0, np.nan])


def mark(step, epoch=1, mode="TRAIN", rule="r"):
    return Mark(rule=rule, step=step, epoch=epoch, mode=mode, subject="s", message="m")


def test_the_first_three_marks_of_each_rule_are_chosen():
    marks = [mark(step, rule=rule) for step in range(9, -1, -1) for rule in "ab"]
    assert [(each.rule, each.step) for each in chosen_marks(marks)] == [
        (rule, step) for step in range(3) for rule in "ab"
    ]
    many = [mark(step, rule=str(step)) for step in range(100)]
    assert len(chosen_marks(many)) == MAX_MARKS


def test_a_step_stands_where_it_was_in_its_epoch():
    steps = pd.DataFrame({"step": [0, 1, 2, 3, 0], "epoch": [1, 1, 2, 2, 1]})
    steps = steps.assign(mode=["TRAIN"] * 4 + ["EVAL"])
    placed = place_by_epoch([mark(2, 2), mark(0, 1, "EVAL")], steps, X, Y)
    assert placed.x == [1.0, 1.5]
    assert placed.y == [3.0, 2.0]


def test_a_step_that_was_not_recorded_stands_at_its_epochs_end():
    placed = place_by_epoch([mark(500, 2), mark(7, epoch=0)], EMPTY, X, Y)
    assert (placed.x, placed.y) == ([2.0], [1.0])


def test_no_curve_or_no_mark_places_nothing():
    nothing = np.array([np.nan, np.nan, np.nan])
    assert place_by_epoch([mark(1)], EMPTY, X, nothing) == NOWHERE
    assert place_by_step([], X, Y) == NOWHERE
    assert place_by_step([mark(1, mode="EVAL")], X, Y) == NOWHERE


def test_steps_are_interpolated_whatever_the_order_of_the_curve():
    placed = place_by_step([mark(15)], np.array([20.0, 10.0]), np.array([4.0, 2.0]))
    assert (placed.x, placed.y) == ([15.0], [3.0])
