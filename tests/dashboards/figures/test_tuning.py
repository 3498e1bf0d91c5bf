import pytest

from dashboards.figures.importance import get_importance_info, importance_figure
from dashboards.figures.theme import message_of
from dashboards.figures.tuning import (
    NO_OBJECTIVE,
    NO_TRIALS,
    get_history_info,
    get_learning_info,
    get_parallel_info,
    history_figure,
    learning_figure,
    parallel_figure,
)
from dashboards.files.trials import read_trials
from tests.worlds.sample_output import trial_histories, trial_summaries

PAIRS = [
    (get_history_info, history_figure),
    (get_parallel_info, parallel_figure),
    (get_importance_info, importance_figure),
    (get_learning_info, learning_figure),
]


@pytest.mark.parametrize(("get_info", "figure"), PAIRS)
@pytest.mark.parametrize("count", [0, 5])
def test_no_trials_and_failed_trials_say_so(get_info, figure, count):
    trials = read_trials(trial_summaries(count, failed=range(count)))
    info = get_info(trials)
    assert info.message
    assert message_of(figure(info)) == info.message


def test_history_tells_empty_from_failed():
    assert get_history_info(read_trials([])).message == NO_TRIALS
    failed = read_trials(trial_summaries(2, failed=(0, 1)))
    assert get_history_info(failed).message == NO_OBJECTIVE


@pytest.mark.parametrize("direction", ["Minimize", "Maximize"])
def test_history_keeps_the_best_so_far(direction):
    info = get_history_info(read_trials(trial_summaries(), direction=direction))
    pick = min if direction == "Minimize" else max
    assert info.best_so_far == [
        pick(info.objectives[: end + 1]) for end in range(len(info.objectives))
    ]
    assert info.failed == [4]
    assert len(history_figure(info).data) == 2


def test_parallel_has_an_axis_a_parameter_and_the_objective_last():
    info = get_parallel_info(read_trials(trial_summaries()))
    titles = ["batch_size", "lr", "optimizer", "weight_decay", "valid:loss"]
    assert [axis.title for axis in info.axes] == titles
    assert all(0 <= place <= 1 for axis in info.axes for place in axis.positions)
    assert "log" in info.axes[1].high
    assert info.ranks.count(0.0) == 1
    best = info.ranks.index(0.0)
    assert info.axes[-1].positions[best] == 0.0
    figure = parallel_figure(info)
    assert len(figure.data) == 13
    assert figure.data[-1].name == info.names[best]


def test_one_trial_is_enough_for_parallel_coordinates():
    info = get_parallel_info(read_trials(trial_summaries(1, failed=())))
    assert (len(info.names), info.ranks) == (1, [0.0])
    assert len(parallel_figure(info).data) == 1


def test_learning_highlights_the_best_trial():
    summaries = trial_summaries()
    info = get_learning_info(read_trials(summaries, trial_histories(summaries)))
    assert len(info.lines) == 13
    assert learning_figure(info).data[-1].name == info.best


@pytest.mark.slow
def test_importance_finds_the_hyperparameter_that_decides(capfd):
    info = get_importance_info(read_trials(trial_summaries(40, failed=())))
    assert info.parameters[0] == "lr"
    assert sum(info.shares) == pytest.approx(1.0)
    assert info.shares == sorted(info.shares, reverse=True)
    assert importance_figure(info).data[0].x == tuple(info.shares)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_importance_of_few_or_equal_trials_is_a_sentence():
    few = get_importance_info(read_trials(trial_summaries(3, failed=())))
    assert few.message
    assert few.message.startswith("Too few trials")
    same = trial_summaries(6, failed=())
    for summary in same:
        summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] = 1.0
    assert get_importance_info(read_trials(same)).message
    ties = trial_summaries(6, failed=())
    for summary in ties[1:]:
        summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] = 99.0
    assert get_importance_info(read_trials(ties)).message
