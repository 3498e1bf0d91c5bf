"""Each finding on a log or its values, beside a clean one. Lines of the notebooks are theirs."""

from __future__ import annotations

import json
import math

import pytest

from sm_entrypoints import contract
from tasks.lint.history import lint_history
from tasks.lint.log_metrics import Series, log_lines, series_of
from tasks.lint.regexes import Objective
from tasks.lint.values import Measured, lint_values
from tests.worlds.logs import NOTEBOOK_ACCURACY, NOTEBOOK_LOSS, our_log

DIVIDED_TWICE = "Test set: Average loss: 0.0123, Accuracy: 412/836 (49%)"


def codes(log, regex="Valid loss: ([0-9.]+)", name="valid:loss", **given) -> list[str]:
    definitions = [{"Name": name, "Regex": regex}]
    return [each.code for each in lint_history(log, definitions, **given)]


def of_values(*series, **given) -> list[str]:
    return [each.code for each in lint_values(Measured(series=series, **given))]


def printed(name, *texts) -> Series:
    return Series(name=name, texts=texts)


def test_our_own_log_is_clean():
    definitions = contract.metric_definitions()
    objective = Objective(name=contract.OBJECTIVE_METRIC, type="Minimize")
    log = our_log([1.4321, 1.2187, 1.0934])
    assert lint_history(log, definitions, objective=objective, classes=10) == []
    # A trial of few classes prints no top-5 accuracy, and a job without a test split no test.
    log = "\n".join(our_log([0.61, 0.4321]).splitlines()[:-1])
    assert lint_history(log, definitions, objective=objective, classes=2) == []


def test_our_own_log_that_diverged():
    log = our_log([1.4321, math.nan])
    found = lint_history(log, contract.metric_definitions(), classes=10)
    assert [each.code for each in found] == ["not-finite"]
    assert "NaN" in found[0].evidence


def test_the_objective_must_be_in_our_own_log_too():
    log = contract.format_metrics({"epoch": 1, "train:loss": 0.5123456})
    objective = Objective(name=contract.OBJECTIVE_METRIC)
    found = lint_history(log, contract.metric_definitions(), objective=objective)
    assert [each.code for each in found] == ["regex-matches-nothing"]
    assert "valid:loss" in found[0].message


def test_the_notebooks_percentage():
    (found,) = lint_history(NOTEBOOK_ACCURACY, [])
    assert (found.code, found.severity) == ("percentage-is-wrong", "error")
    assert found.evidence == NOTEBOOK_ACCURACY


@pytest.mark.parametrize(
    "line",
    [
        "Testing Accuracy: 412/836 = 49%",
        "Accuracy: 412/836 (49%)",
        "Accuracy: 412/836 (49.28%)",
        "Accuracy: 413/836 (49%)",  # 49.4 cut, not rounded
        "Accuracy: 836/836 (100%)",
        "Accuracy: 0/0 (0%)",
        "Train Epoch: 1 [14976/60000 (100%)] Loss: 0.31",  # a progress bar's arithmetic
        "acc 0.91, epoch 12/10 = 3%",
        "accuracy on 22/11/2026: 0.9",
    ],
)
def test_percentages_that_are_right_or_none(line):
    assert lint_history(line, []) == []


def test_more_hits_than_images():
    (found,) = lint_history("correct: 900/836", [])
    assert (found.code, found.severity) == ("accuracy-above-100", "error")


def test_the_notebooks_loss():
    regex = "Testing Loss: ([0-9.]+)"
    found = lint_history(NOTEBOOK_LOSS, [{"Name": "test:loss", "Regex": regex}], classes=133)
    assert {each.code: each.severity for each in found} == {
        "rounded": "error",
        "worse-than-chance": "error",
    }
    accuracy = [{"Name": "test:acc", "Regex": "acc ([0-9.]+)"}]
    (zero,) = lint_history(NOTEBOOK_LOSS, accuracy)
    assert (zero.code, zero.severity) == ("accuracy-always-0", "warning")


def test_a_regex_that_matches_nothing():
    assert codes("Valid loss: 0.8312") == []
    assert codes("valid_loss=0.8312") == ["regex-matches-nothing"]


@pytest.mark.parametrize(
    "line",
    ["train_loss=nan", "Loss: inf", "{'eval_loss': nan}", "valid loss nan", "val_acc = -inf"],
)
def test_numbers_that_are_not_finite(line):
    assert [each.code for each in lint_history(f"hello\n{line}", [])] == ["not-finite"]


@pytest.mark.parametrize(
    "line",
    [
        "val_loss improved from inf to 0.5",
        "best_loss: inf",
        "loss: 0.5, inference 3 ms",
        "accuracy: nano",
        "grad norm inf",
    ],
)
def test_lines_that_only_look_like_it(line):
    assert lint_history(line, []) == []


def test_a_value_that_the_regex_reads_is_not_finite():
    assert codes("Valid loss: nan", regex=r"Valid loss: (\S+)") == ["not-finite"]
    assert codes("Valid loss: 0.51", regex=r"Valid loss: (\S+)") == []


def test_accuracy_above_its_limit():
    assert of_values(series_of("valid:accuracy", [45.5, 101.2])) == ["accuracy-above-100"]
    assert of_values(series_of("valid:accuracy", [45.5, 100.00000001])) == []
    assert of_values(series_of("valid:accuracy", [0.97, 1.02])) == ["accuracy-above-1"]
    assert of_values(series_of("valid:accuracy", [0.97, 1.0000000002])) == []
    assert of_values(series_of("valid:accuracy", [0.7, 12.5, 44.1])) == [], "these are per cent"


def test_scales_that_differ():
    share, percent = series_of("train:accuracy", [0.5, 0.9]), series_of("valid:acc", [44.0, 71.2])
    assert of_values(share, percent) == ["accuracy-scales-differ"]
    assert of_values(share, series_of("valid:acc", [0.44, 0.712])) == []


def test_losses_that_are_whole():
    assert of_values(printed("valid:loss", "3.0", "2.0", "2.0")) == ["rounded"]
    assert of_values(printed("valid:loss", "14.0000")) == ["rounded"]
    assert of_values(printed("valid:loss", "1.0")) == [], "by chance"
    assert of_values(printed("valid:loss", "3.0", "2.0", "1.5137")) == []
    other = Measured(series=[printed("train:loss", "3.0", "2.0", "2.0")], objective="valid:loss")
    assert [each.severity for each in lint_values(other)] == ["warning"]


def test_losses_with_few_decimals():
    assert of_values(printed("valid:loss", "1.25", "0.90", "0.81")) == ["rounded"]
    assert of_values(printed("valid:loss", "1.2512", "0.9021", "0.8134")) == []
    ties = ["0.8001", "0.8001", "0.8000", "0.8000", "0.7999"]
    assert of_values(printed("valid:loss", *ties)) == ["rounded"]
    assert of_values(printed("valid:loss", "1.1", "0.8123", "0.8", "0.7001", "0.7001")) == []
    quiet = printed("train:loss", "1.25", "0.90", "0.81")
    assert of_values(quiet, objective="valid:loss") == [], "no search looks at it"


def test_accuracies_in_whole_per_cent():
    whole = printed("valid:accuracy", "45", "46", "46")
    assert of_values(whole, objective="valid:accuracy") == ["rounded"]
    assert of_values(whole) == []
    fine = printed("valid:accuracy", "45.1", "46.1", "46.2")
    assert of_values(fine, objective="valid:accuracy") == []


@pytest.mark.parametrize(
    ("losses", "severity"),
    [([2.9, 2.31], "warning"), ([9.5, 4.7], "error"), ([2.9, 2.29], None)],
)
def test_losses_worse_than_guessing(losses, severity):
    measured = Measured(series=[series_of("valid:loss", losses)], classes=10)
    found = lint_values(measured)
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert all("ln(10) = 2.30" in each.message for each in found)
    assert lint_values(Measured(series=measured.series)) == [], "the classes are not known"


def test_the_training_loss_alone_may_be_worse_than_guessing():
    train, valid = series_of("train:loss", [2.9, 2.8]), series_of("valid:loss", [2.1, 2.0])
    assert of_values(train, valid, classes=10) == []
    assert of_values(train, classes=10) == ["worse-than-chance"], "there is nothing else"


def test_a_loss_that_is_too_small_for_its_mistakes():
    definitions = [
        {"Name": "test loss", "Regex": "Average loss: ([0-9.]+)"},
        {"Name": "test accuracy", "Regex": r"\(([0-9.]+)%\)"},
    ]
    (found,) = lint_history(DIVIDED_TWICE, definitions)
    assert (found.code, found.severity) == ("loss-scales-with-batch", "warning")
    assert "0.0123" in found.evidence
    right = DIVIDED_TWICE.replace("0.0123", "1.7123")
    assert lint_history(right, definitions) == []
    top5 = series_of("valid:top5_accuracy", [0.2])
    assert of_values(series_of("valid:loss", [0.2]), top5) == [], "not the loss's accuracy"
    sure = [series_of("valid:loss", [0.0012]), series_of("valid:accuracy", [0.999])]
    assert of_values(*sure) == []
    train = [series_of("train:loss", [0.01]), series_of("train:accuracy", [0.5])]
    assert of_values(*train) == [], "a script may print its last batch's loss"


def test_a_progress_bar_has_a_line_for_each_state():
    assert log_lines("loss=0.5\rloss=0.4\n\n  \nend\r\n") == ["loss=0.5", "loss=0.4", "end"]
    assert codes("Valid loss: 0.51\rValid loss: 0.43") == []


def test_findings_are_plain_values_worst_first():
    log = f"{NOTEBOOK_LOSS}\n{NOTEBOOK_ACCURACY}"
    definitions = [
        {"Name": "test:acc", "Regex": "acc ([0-9.]+)"},
        {"Name": "test:loss", "Regex": "Testing Loss: ([0-9.]+)"},
    ]
    found = lint_history(log, definitions)
    assert [each.severity for each in found] == ["error", "error", "warning"]
    assert json.loads(json.dumps(found[0].to_dict())) == found[0].to_dict()
