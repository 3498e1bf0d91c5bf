from __future__ import annotations

import pytest

from dashboards.figures.tuning import get_learning_info
from dashboards.files.packed_search import read_packed_search
from dashboards.files.trials import read_trials
from sm_entrypoints import contract
from tests.worlds.packed_search import write_packed_search

TRIALS = [(0.1, [0.75, 0.5]), (0.2, [0.5, 0.25])]


def test_trials_and_their_epochs_are_those_of_any_search(tmp_path):
    write_packed_search(tmp_path, "s", TRIALS)
    found = read_packed_search(tmp_path)
    trials = read_trials(found.summaries, found.histories)
    assert trials.frame["name"][trials.best] == "s-002-0a1b2c3d"
    assert trials.parameters["lr"].to_list() == [0.1, 0.2]
    history = trials.histories["s-001-0a1b2c3d"]
    assert history["epoch"].to_list() == [1, 2]
    assert history["train:loss"].to_list() == [1.75, 1.5]
    assert "valid:top5_accuracy" not in history.columns, "what was not measured is no column"
    info = get_learning_info(trials)
    assert info.best == "s-002-0a1b2c3d"
    assert [line[2] for line in info.lines] == [[0.75, 0.5], [0.5, 0.25]]


def test_without_epochs_there_are_trials_alone(tmp_path):
    write_packed_search(tmp_path, "s", TRIALS)
    (tmp_path / contract.TRIAL_METRICS_FILE).unlink()
    assert read_packed_search(tmp_path).histories == {}


def test_the_best_is_the_lowest_of_those_that_have_an_objective(tmp_path):
    write_packed_search(tmp_path, "s", [(0.9, []), *TRIALS])
    best = read_packed_search(tmp_path).best
    assert best is not None
    assert best["TrainingJobName"] == "s-003-0a1b2c3d"
    write_packed_search(tmp_path, "s", [(0.9, [])])
    assert read_packed_search(tmp_path).best is None


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
