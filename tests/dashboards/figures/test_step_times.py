import numpy as np
import pandas as pd
import pytest

from dashboards.figures.step_times import (
    MAX_OUTLIERS,
    MAX_STEP_POINTS,
    get_outlier_info,
    get_step_time_info,
    outlier_figure,
    step_time_figure,
)
from dashboards.figures.theme import message_of
from dashboards.files.frames import empty_training_output
from sm_entrypoints.contract import STEP_COLUMNS, STEP_PHASES

EMPTY = empty_training_output().steps


def steps(count, seconds=0.01):
    phases = {phase: np.full(count, seconds) for phase in STEP_PHASES}
    frame = pd.DataFrame({"step": np.arange(count), "epoch": 1, "mode": "TRAIN", **phases})
    return frame.assign(started=0.0, samples=8, network="whole")[list(STEP_COLUMNS)]


@pytest.mark.parametrize(
    "figure",
    [step_time_figure(get_step_time_info(EMPTY)), outlier_figure(get_outlier_info(EMPTY))],
)
def test_no_steps_is_a_sentence(figure):
    assert message_of(figure)


def test_every_step_is_in_the_histogram_or_counted_beyond(output):
    info = get_step_time_info(output.steps)
    assert sum(info.counts) + info.beyond == (output.steps["mode"] == "TRAIN").sum()
    assert info.percentiles["p50"] < info.percentiles["p95"] < info.percentiles["max"]
    figure = step_time_figure(info)
    assert [trace.name for trace in figure.data[1:]] == [
        f"{name} {info.percentiles[name]:,.1f} ms" for name in ("p50", "p95", "p99")
    ]


def test_equal_steps_make_a_histogram_too():
    info = get_step_time_info(steps(3))
    assert (sum(info.counts), info.beyond) == (3, 0)


def test_a_slow_step_is_an_outlier_with_the_phase_that_was_slow():
    frame = steps(5_000)
    frame.loc[777, ["backward", "epoch"]] = (0.9, 4)
    frame.loc[778, "mode"] = "EVAL"
    info = get_outlier_info(frame)
    assert info.outliers == [777.0]
    assert info.outlier_times == pytest.approx([940.0])
    assert info.outlier_texts == ["epoch 4: 890 ms more backward than usual"]
    assert info.found == 1
    assert 50.0 < info.threshold < 940.0
    assert len(info.steps) <= MAX_STEP_POINTS
    assert max(info.times) == pytest.approx(940.0)
    step_points, outliers = outlier_figure(info).data
    assert outliers.name == "outlier (1)"
    assert 778 not in step_points.x


def mixed():
    """Ten steps of 50 ms of the whole network, then 90 of 5 ms of its tail; one of each stalls."""
    frame = steps(100)
    frame.loc[10:, list(STEP_PHASES)] = 0.001
    frame.loc[10:, "network"] = "tail"
    frame.loc[50, "forward"] = 0.02
    return frame


def test_steps_on_features_are_no_part_of_the_histogram_but_told():
    info = get_step_time_info(mixed())
    assert (sum(info.counts) + info.beyond, info.others) == (10, 90)
    assert info.percentiles["p50"] == pytest.approx(50.0)
    title = step_time_figure(info).layout.xaxis.title.text
    assert "90 steps on features, p50 5.0 ms, not shown" in title


def test_steps_on_features_stand_out_from_their_own_kind():
    info = get_outlier_info(mixed())
    assert (info.outliers, info.found) == ([50.0], 1)
    assert info.outlier_texts == ["epoch 1: 19 ms more forward than usual"]
    assert info.threshold == pytest.approx(50.0)


def test_the_longest_of_very_many_outliers_are_shown():
    frame = steps(40_000)
    frame.loc[:399, "data_wait"] = np.linspace(1.0, 2.0, 400)
    info = get_outlier_info(frame)
    assert info.found == 400
    assert info.outliers == [float(step) for step in range(400 - MAX_OUTLIERS, 400)]


def test_equal_steps_have_no_outlier():
    info = get_outlier_info(steps(10))
    assert (info.outliers, info.found) == ([], 0)
    assert len(outlier_figure(info).data) == 2
