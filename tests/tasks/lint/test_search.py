"""Each finding on a search's trials, beside a clean search of the same shape."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dashboards.files.trials import read_trials
from tasks.lint.search import lint_search

# A real search: samples/clipart, frozen mobilenet_v2, 96 pixels, 3 epochs, seed 0.
REAL = [
    (128, 0.0005, 2.024823),
    (32, 0.0005, 1.634660),
    (16, 0.0030, 1.009309),
    (128, 0.0030, 1.327927),
    (32, 0.0030, 1.109320),
    (16, 0.0005, 1.404394),
    (64, 0.0030, 1.159528),
    (64, 0.0005, 1.832502),
]


def trials(rows, metric="valid:loss", status="Completed"):
    """Return trials of (batch size, lr, objective); None has no objective."""
    summaries = []
    for number, (batch, rate, value) in enumerate(rows, 1):
        final = {"MetricName": metric, "Value": value}
        summaries.append(
            {
                "TrainingJobName": f"t-{number}",
                "TrainingJobStatus": status,
                "TunedHyperParameters": {"batch_size": f'"{batch}"', "lr": str(rate)},
                "FinalHyperParameterTuningJobObjectiveMetric": {} if value is None else final,
            }
        )
    return read_trials(summaries)


def codes(rows, **given) -> list[str]:
    return [each.code for each in lint_search(trials(rows), **given)]


def clean_search(seed: int) -> tuple[list[tuple[int, float, float]], int]:
    """Return a search in which batch size and lr matter only through the steps taken."""
    random = np.random.default_rng(seed)
    classes = int(random.choice([2, 10, 133]))
    floor, pace = random.uniform(0.05, 1) * math.log(classes), 10 ** random.uniform(-2, 0.5)
    images = int(random.choice([300, 2000, 20000])) * int(random.integers(1, 6))
    rows = []
    for _ in range(int(random.integers(4, 20))):
        batch, rate = int(random.choice([16, 32, 64, 128])), 10 ** random.uniform(-4, -1)
        learned = math.exp(-images / batch * rate * pace)
        loss = floor + (math.log(classes) - floor) * learned
        rows.append((batch, rate, loss * math.exp(random.normal(0, 0.05))))
    return rows, classes


def test_clean_searches_are_clean():
    found = [codes(rows, classes=classes) for rows, classes in map(clean_search, range(80))]
    assert found == [[]] * 80


def test_a_real_search_is_clean_and_spoiled_ones_are_not():
    assert codes(REAL, classes=10) == codes(REAL) == []
    for power in (1, -1):
        wrong = [(batch, rate, loss * batch**power) for batch, rate, loss in REAL]
        assert codes(wrong, classes=10) == ["loss-scales-with-batch"]
        assert codes(wrong[:3], classes=10) == []


@pytest.mark.parametrize("power", [1, -1])
def test_a_loss_that_scales_with_the_batch(power):
    caught = 0
    for rows, classes in map(clean_search, range(40)):
        wrong = [(batch, rate, loss * batch**power) for batch, rate, loss in rows]
        caught += codes(wrong, classes=classes) == ["loss-scales-with-batch"]
    assert caught > 20, "no test of few trials finds it always"


def test_a_sum_instead_of_a_mean_is_an_error_with_its_evidence():
    rows = [(16, 0.01, 19.2), (32, 0.01, 40.1), (64, 0.02, 75.3), (128, 0.01, 160.9)]
    (found,) = lint_search(trials(rows), classes=10)
    assert (found.code, found.severity) == ("loss-scales-with-batch", "error")
    assert "4 trials" in found.evidence
    assert codes(rows[:3], classes=10) == [], "too few to tell"
    means = [(batch, rate, loss / batch) for batch, rate, loss in rows]
    assert codes(means, classes=10) == []
    accuracy = lint_search(trials(rows, metric="valid:accuracy"), classes=10)
    assert accuracy == [], "said of losses only"


def test_a_plausible_mean_may_grow_with_the_batch():
    # Larger batches take fewer steps in the same epochs.
    assert codes([(16, 0.1, 0.2), (32, 0.1, 0.41), (64, 0.1, 0.8), (128, 0.1, 1.6)]) == []


def test_an_optimum_on_the_edge_of_its_range():
    rows = [(16, 0.01, 1.2), (32, 0.02, 1.1)]
    (found,) = lint_search(trials(rows), edges={"lr": "upper"})
    assert (found.code, found.severity) == ("optimum-at-edge", "warning")
    assert "upper edge" in found.message
    assert codes(rows, edges={}) == []


def test_trials_that_are_all_alike():
    same = [(16, 0.01, 0.6931), (32, 0.02, 0.6931), (64, 0.03, 0.6931)]
    (found,) = lint_search(trials(same))
    assert (found.code, found.severity) == ("objective-constant", "error")
    assert codes([*same[:2], (64, 0.03, 0.6932)]) == []
    assert codes(same[:2]) == []
    assert codes([(16, 0.01, 0.6931)] * 4) == [], "the same trial gives the same number"


def test_trials_without_an_objective():
    rows = [(16, 0.01, 1.2), (32, 0.02, None)]
    (found,) = lint_search(trials(rows))
    assert (found.code, found.severity, found.evidence) == ("objective-missing", "warning", "t-2")
    assert "whippet logs t-2" in found.advice
    (found,) = lint_search(trials([(16, 0.01, None)] * 7))
    assert found.severity == "error"
    assert found.evidence.endswith("t-5 and 2 more")
    assert lint_search(trials(rows, status="InProgress")) == []


def test_no_trials_and_other_hyperparameters():
    assert lint_search(read_trials([])) == []
    plain = {"TrainingJobName": "t", "TrainingJobStatus": "Completed"}
    value = {"MetricName": "valid:loss", "Value": 0.5}
    plain["FinalHyperParameterTuningJobObjectiveMetric"] = value
    assert lint_search(read_trials([{**plain, "TunedHyperParameters": {"depth": '"a"'}}])) == []
