from __future__ import annotations

import json

import pytest

from dashboards.figures.tuning import get_learning_info
from dashboards.files.packed_search import read_packed_search
from dashboards.files.trials import read_trials
from sm_entrypoints import contract

TRIALS = [
    {
        "TrainingJobName": f"s-00{number}-abc",
        "TrainingJobStatus": "Completed",
        "CreationTime": f"2026-11-26T10:00:0{number}+00:00",
        "TunedHyperParameters": {"lr": f"0.{number}"},
        "FinalHyperParameterTuningJobObjectiveMetric": {
            "MetricName": contract.OBJECTIVE_METRIC,
            "Value": value,
        },
    }
    for number, value in ((1, 0.5), (2, 0.25))
]


def rows(trial: int, *losses: float):
    for epoch, loss in enumerate(losses, start=1):
        for split, value in (("train", loss + 1), ("valid", loss)):
            row = dict.fromkeys(contract.TRIAL_METRIC_COLUMNS)
            known = {"trial": trial, "epoch": epoch, "split": split, "loss": value, "accuracy": 0.5}
            yield json.dumps({**row, **known})


def test_trials_and_their_epochs_are_those_of_any_search(tmp_path):
    (tmp_path / contract.TRIALS_FILE).write_text(json.dumps(TRIALS))
    lines = [*rows(1, 0.75, 0.5), *rows(2, 0.5, 0.25)]
    (tmp_path / contract.TRIAL_METRICS_FILE).write_text("\n".join(lines) + "\n")
    found = read_packed_search(tmp_path)
    trials = read_trials(found.summaries, found.histories)
    assert trials.frame["name"][trials.best] == "s-002-abc"
    assert trials.parameters["lr"].to_list() == [0.1, 0.2]
    history = trials.histories["s-001-abc"]
    assert history["epoch"].to_list() == [1, 2]
    assert history["train:loss"].to_list() == [1.75, 1.5]
    assert "valid:top5_accuracy" not in history.columns, "what was not measured is no column"
    info = get_learning_info(trials)
    assert info.best == "s-002-abc"
    assert [line[2] for line in info.lines] == [[0.75, 0.5], [0.5, 0.25]]


def test_without_epochs_there_are_trials_alone(tmp_path):
    (tmp_path / contract.TRIALS_FILE).write_text(json.dumps(TRIALS))
    assert read_packed_search(tmp_path).histories == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "has no trials.json"), ("{}", "not a list of trials"), ("[1", "Expecting")],
    ids=["missing", "no list", "cut"],
)
def test_what_no_search_wrote_is_refused(tmp_path, text, said):
    if text is not None:
        (tmp_path / contract.TRIALS_FILE).write_text(text)
    with pytest.raises(ValueError, match=said):
        read_packed_search(tmp_path)
