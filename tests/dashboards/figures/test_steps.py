import numpy as np
import pandas as pd
import pytest

from dashboards.figures.steps import (
    MAX_BUCKETS,
    get_phase_share_info,
    get_phase_timeline_info,
    phase_share_figure,
    phase_timeline_figure,
)
from dashboards.figures.theme import message_of
from dashboards.files.frames import empty_training_output
from sm_entrypoints.contract import STEP_COLUMNS, STEP_PHASES

EMPTY = empty_training_output().steps


def steps(count, seconds=0.01):
    phases = dict.fromkeys(STEP_PHASES, np.full(count, seconds))
    frame = pd.DataFrame({"step": np.arange(count), "epoch": 1, "mode": "TRAIN", **phases})
    return frame.assign(started=0.0, samples=8, network="whole")[list(STEP_COLUMNS)]


@pytest.mark.parametrize(
    "figure",
    [
        phase_timeline_figure(get_phase_timeline_info(EMPTY)),
        phase_share_figure(get_phase_share_info(EMPTY, {})),
    ],
)
def test_no_steps_is_a_sentence(figure):
    assert message_of(figure)


def test_the_timeline_stacks_to_the_mean_step_time():
    info = get_phase_timeline_info(steps(100_000))
    assert len(info.steps) == MAX_BUCKETS
    assert sum(values[0] for values in info.milliseconds.values()) == pytest.approx(50.0)
    assert info.steps_a_bucket == 500
    assert len(phase_timeline_figure(info).data) == 5


def test_shares_add_up_to_one(output):
    info = get_phase_share_info(output.steps, {})
    assert info.modes == ["TRAIN", "EVAL"]
    for mode in range(2):
        assert sum(values[mode] for values in info.shares.values()) == pytest.approx(1.0)
    assert info.shares["backward"][1] == 0.0


def test_steps_on_features_are_a_mode_of_their_own():
    frame = steps(100)
    frame.loc[60:, list(STEP_PHASES)] = 0.001
    frame.loc[60:, "network"] = "tail"
    info = get_phase_share_info(frame, {})
    assert info.modes == ["TRAIN", "TRAIN on features"]
    assert info.seconds["forward"] == pytest.approx([0.6, 0.04])
    timeline = get_phase_timeline_info(frame)
    assert timeline.features_from == 60
    [mark] = phase_timeline_figure(timeline).layout.annotations
    assert mark.text == "on features"
    assert get_phase_timeline_info(frame[frame["network"] == "tail"]).features_from is None


def test_the_summary_stands_in_for_missing_steps(output):
    from_steps = get_phase_share_info(output.steps, {})
    from_summary = get_phase_share_info(EMPTY, output.summary)
    assert from_summary.modes == from_steps.modes
    assert from_summary.shares["forward"] == pytest.approx(from_steps.shares["forward"])
    assert len(phase_share_figure(from_summary).data) == 5
