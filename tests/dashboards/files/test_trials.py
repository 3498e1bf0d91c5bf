import math
from datetime import UTC, datetime, timedelta

import pytest

from dashboards.files.trials import TRIAL_COLUMNS, read_trial, read_trials
from tests.worlds.sample_output import trial_summaries


def test_trials_come_in_order_of_creation_with_typed_values():
    trials = read_trials(list(reversed(trial_summaries())))
    assert trials.frame["trial"].tolist() == list(range(1, 15))
    assert trials.frame["name"].iloc[0].startswith("pets-3f2a-tune-001")
    assert trials.frame["seconds"].tolist()[:2] == [65.0, 66.0]
    assert set(trials.parameters["batch_size"]) <= {32.0, 64.0, 128.0}
    assert set(trials.parameters["optimizer"]) == {"adam", "sgd"}
    assert trials.metric == "valid:loss"
    assert math.isnan(trials.frame["objective"].iloc[3])
    assert len(trials.measured) == 13


@pytest.mark.parametrize("direction", ["Minimize", "Maximize"])
def test_the_best_trial_follows_the_direction(direction):
    trials = read_trials(trial_summaries(), direction=direction)
    objectives = trials.measured["objective"]
    best = objectives.min() if direction == "Minimize" else objectives.max()
    assert trials.frame["objective"][trials.best] == best


def test_a_running_trial_is_not_the_best():
    good = trial_summaries(2, failed=())
    worst = max(good, key=lambda s: s["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
    for summary in good:
        if summary is not worst:
            summary["TrainingJobStatus"] = "InProgress"
    trials = read_trials(good)
    assert trials.frame["name"][trials.best] == worst["TrainingJobName"]


def test_no_trials_and_bare_trials():
    assert list(read_trials([]).frame.columns) == list(TRIAL_COLUMNS)
    assert read_trials([]).best is None
    trials = read_trials([{"TrainingJobName": "a"}])
    assert (trials.best, trials.metric, trials.frame["status"].iloc[0]) == (None, "objective", "")


def test_framework_hyperparameters_are_left_out():
    tuned = {"lr": "0.1", "sagemaker_program": '"train.py"', "_tuning_objective_metric": "x"}
    trials = read_trials([{"TrainingJobName": "a", "TunedHyperParameters": tuned}])
    assert trials.parameters.columns.tolist() == ["lr"]


def test_times_may_be_text_or_seconds_or_without_zone():
    moment = datetime(2026, 8, 1, 9, tzinfo=UTC)
    times = (moment, moment.isoformat(), moment.timestamp(), moment.replace(tzinfo=None))
    for time in times:
        trials = read_trials([{"TrainingJobName": "a", "CreationTime": time}])
        assert trials.frame["created"].iloc[0] == moment


@pytest.mark.parametrize(
    ("summary", "message"),
    [({}, "TrainingJobName"), ({"TrainingJobName": "a", "CreationTime": "noon"}, "'noon'")],
)
def test_malformed_summaries_are_refused(summary, message):
    with pytest.raises(ValueError, match=message):
        read_trials([summary])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.001", 0.001),
        ('"4"', 4.0),
        ("'\"4\"'", "'\"4\"'"),
        ('"adam"', "adam"),
        ("adam", "adam"),
        ("true", "true"),
        ("NaN", "NaN"),
        ("[1]", "[1]"),
        ("", ""),
    ],
)
def test_hyperparameters_are_read_as_they_were_meant(text, value):
    trials = read_trials([{"TrainingJobName": "a", "TunedHyperParameters": {"x": text}}])
    assert trials.parameters["x"].tolist() == [value]


def test_a_trial_is_a_line_of_the_table():
    start = datetime(2026, 11, 1, tzinfo=UTC)
    summary = {
        "TrainingJobName": "demo-tune-003",
        "TrainingJobStatus": "Completed",
        "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "valid:loss", "Value": 0.25},
        "TrainingStartTime": start,
        "TrainingEndTime": start + timedelta(seconds=61.26),
        "TunedHyperParameters": {"lr": "0.1", "batch_size": '"16"', "amp": "true"},
    }
    line = read_trial(summary).line()
    assert line == {
        "trial": "demo-tune-003",
        "status": "Completed",
        "valid:loss": 0.25,
        "seconds": 61.3,
        "amp": True,
        "batch_size": 16,
        "lr": 0.1,
    }
    assert list(line)[4:] == ["amp", "batch_size", "lr"]
    assert (type(line["batch_size"]), type(line["amp"])) == (int, bool)
    running = read_trial({"TrainingJobName": "x", "TrainingJobStatus": "InProgress"}).line()
    assert (running["valid:loss"], running["seconds"]) == (None, None)


def test_an_objective_that_is_no_number_is_none_to_compare():
    def trial(value):
        metric = {"MetricName": "valid:loss", "Value": value}
        name = f"t-{value}"
        return {"TrainingJobName": name, "FinalHyperParameterTuningJobObjectiveMetric": metric}

    trials = read_trials([trial(value) for value in (math.nan, math.inf, 0.5)])
    assert trials.measured["name"].tolist() == ["t-0.5"]
