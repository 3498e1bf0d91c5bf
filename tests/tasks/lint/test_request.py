"""Each finding on a request or its regexes, beside a clean one."""

from __future__ import annotations

import pytest

from platforms.errors import ParameterError
from sm_entrypoints import contract
from tasks.lint.findings import errors, lint_markdown
from tasks.lint.regexes import Objective, lint_metrics, read_metrics
from tasks.lint.request import lint_request, tuning_objective
from tasks.parameters.run import TrainingParameters
from tasks.requests.bodies import training_job_request
from tests.printed_metrics import parse_metrics
from tests.worlds.requests import inputs, whippet_request

VALID_LOSS = {"Name": "valid:loss", "Regex": "Valid loss: ([-+0-9.eE]+)"}
LINES = ["Train loss: 0.91, acc 0.50", "Valid loss: 0.83, acc 0.55", "Test loss: 0.99, acc 0.49"]


def request(definitions, name="valid:loss", kind="Minimize"):
    objective = {"MetricName": name, "Type": kind}
    return {
        "HyperParameterTuningJobConfig": {"HyperParameterTuningJobObjective": objective},
        "TrainingJobDefinition": {"AlgorithmSpecification": {"MetricDefinitions": definitions}},
    }


def codes(definitions, lines=(), **objective) -> list[str]:
    return [each.code for each in lint_request(request(definitions, **objective), lines)]


def contract_sample() -> list[str]:
    """Return the lines that Whippet's own train.py prints, with every metric that it knows."""
    values = {name: 0.5 + index / 64 for index, name in enumerate(contract.METRIC_NAMES)}
    epoch = {name: values[name] for name in ("epoch", *contract.EPOCH_METRICS)}
    return [contract.format_metrics(epoch), contract.format_metrics(values)]


def test_our_own_requests_are_clean():
    assert lint_request(whippet_request(), contract_sample()) == []
    training = training_job_request("demo-train", {"lr": 0.1}, inputs(), TrainingParameters())
    assert lint_request(training, contract_sample()) == []


def test_the_sample_has_every_metric():
    parsed = parse_metrics(contract_sample()[-1])
    assert parsed
    assert set(parsed) == set(contract.METRIC_NAMES)


def test_a_good_request_of_somebody_else_is_clean():
    assert codes([VALID_LOSS]) == codes([VALID_LOSS], LINES) == []


def test_an_objective_that_is_not_defined():
    (found,) = lint_request(request([VALID_LOSS], name="val:loss"))
    assert (found.code, found.severity) == ("objective-not-defined", "error")
    assert "valid:loss" in found.evidence
    (found,) = lint_request(request([], name="validation:accuracy", kind="Maximize"))
    assert found.severity == "warning", "a built-in algorithm defines its own"


@pytest.mark.parametrize(
    ("name", "kind", "clean"),
    [
        ("valid:loss", "Minimize", True),
        ("valid:loss", "Maximize", False),
        ("valid:accuracy", "Maximize", True),
        ("valid:accuracy", "Minimize", False),
        ("valid:score", "Minimize", True),
    ],
)
def test_a_search_for_the_worst(name, kind, clean):
    found = codes([{"Name": name, "Regex": "Valid: ([-+0-9.eE]+)"}], name=name, kind=kind)
    assert found == ([] if clean else ["objective-direction"])


TEST_LOSS = {"Name": "average test loss", "Regex": r"Test set: Average loss: ([-+0-9\.eE]+)"}
MISNAMED = {"Name": "loss", "Regex": "Testing Loss: ([-+0-9.eE]+)"}


@pytest.mark.parametrize("objective", [TEST_LOSS, MISNAMED])
def test_the_test_split_as_objective(objective):
    name = objective["Name"]
    (found,) = lint_request(request([objective, VALID_LOSS], name=name))
    assert (found.code, found.severity) == ("objective-is-test", "error")
    assert "'valid:loss'" in found.advice
    (found,) = lint_request(request([objective], name=name))
    assert (found.code, found.severity) == ("objective-is-test", "warning"), "there is no other"
    assert codes([objective, VALID_LOSS]) == [], "to print it is right, to choose by it is not"


def test_a_regex_whose_last_number_is_of_the_test_split():
    loose = {"Name": "loss", "Regex": "loss: ([-+0-9.eE]+)"}
    assert "objective-is-test" in codes([loose], LINES, name="loss")
    assert "objective-is-test" not in codes([loose], LINES[:2], name="loss")


@pytest.mark.parametrize(
    ("regex", "code"),
    [
        ("Valid loss: ([0-9.+", "regex-invalid"),
        ("Valid loss: [0-9.]+", "regex-no-group"),
    ],
)
def test_a_regex_that_cannot_work(regex, code):
    (found,) = lint_request(request([{"Name": "valid:loss", "Regex": regex}]), LINES)
    assert (found.code, found.severity, found.evidence) == (code, "error", regex)


def test_a_regex_that_matches_nothing():
    late = {"Name": "valid:loss", "Regex": "valid loss: ([-+0-9.eE]+)"}
    (found,) = lint_request(request([late]), LINES)
    assert (found.code, found.severity) == ("regex-matches-nothing", "error")
    assert LINES[1] in found.evidence
    assert "capital" in found.advice
    other = {"Name": "f1", "Regex": "F1=([-+0-9.eE]+)"}
    (found,) = lint_request(request([VALID_LOSS, other]), LINES)
    assert (found.code, found.severity) == ("regex-matches-nothing", "warning")
    far = {"Name": "valid:loss", "Regex": "validation_loss=([-+0-9.eE]+)"}
    (found,) = lint_request(request([far]), LINES)
    assert LINES[1] in found.evidence, "the nearest line is shown"


def test_a_regex_that_reads_no_number():
    greedy = {"Name": "valid:loss", "Regex": "Valid loss: (.*)"}
    (found,) = lint_request(request([greedy]), LINES)
    assert (found.code, found.severity) == ("regex-not-a-number", "error")
    assert "0.83, acc 0.55" in found.evidence


def test_a_regex_that_reads_several_splits():
    loose = {"Name": "loss", "Regex": "loss: ([-+0-9.eE]+)"}
    (found,) = lint_request(request([loose], name="loss"), LINES[:2])
    assert (found.code, found.severity) == ("regex-ambiguous", "warning")
    assert "train and of valid" in found.message
    assert LINES[0] in found.evidence
    narrow = {"Name": "loss", "Regex": "Valid loss: ([-+0-9.eE]+)"}
    assert codes([narrow], LINES, name="loss") == []
    one_line = ["train loss: 0.5 valid loss: 0.6"]
    reads_last = {"Name": "valid:loss", "Regex": "valid loss: ([-+0-9.eE]+)"}
    assert codes([reads_last], one_line) == []


def test_a_regex_that_reads_a_line_twice():
    running = ["Valid loss: 0.83 (loss: 0.84)"]
    definition = {"Name": "valid:loss", "Regex": "loss: ([-+0-9.eE]+)"}
    assert codes([definition], running) == ["regex-ambiguous"]
    assert codes([definition], ["Valid loss: 0.83"]) == []


def test_a_regex_inside_another_one_is_found_without_a_line():
    loose = {"Name": "loss", "Regex": "loss: ([-+0-9.eE]+)"}
    (found,) = lint_request(request([loose, VALID_LOSS]))
    assert found.code == "regex-ambiguous"
    assert "'valid:loss'" in found.message
    anchored = {"Name": "loss", "Regex": "^loss: ([-+0-9.eE]+)"}
    behind = {"Name": "loss", "Regex": "(?<!Valid )loss: ([-+0-9.eE]+)"}
    assert codes([anchored, VALID_LOSS]) == codes([behind, VALID_LOSS]) == []
    assert codes([VALID_LOSS, {**VALID_LOSS, "Name": "alias"}]) == []


def test_a_training_request_has_no_objective():
    spec = {"AlgorithmSpecification": {"MetricDefinitions": [TEST_LOSS]}}
    assert lint_request(spec) == []
    assert tuning_objective(spec) is None


def test_each_of_several_definitions_is_linted():
    specs = [
        {
            "TuningObjective": {"MetricName": "valid:loss", "Type": kind},
            "AlgorithmSpecification": {"MetricDefinitions": [VALID_LOSS]},
        }
        for kind in ("Minimize", "Maximize")
    ]
    (found,) = lint_request({"TrainingJobDefinitions": specs})
    assert found.code == "objective-direction"


def test_what_is_no_request_is_refused():
    with pytest.raises(ParameterError, match="members \\['a'\\]"):
        lint_request({"a": 1})


def test_the_artifact_shows_every_stage():
    found = lint_request(request([VALID_LOSS], kind="Maximize"))
    text = lint_markdown({"request": [each.to_dict() for each in found], "search": []})
    assert "objective-direction" in text
    assert text.index("## Request") < text.index("## Search") < text.index("Nothing found")


def test_an_unused_group_is_no_number_and_no_crash():
    either = [{"Name": "valid:loss", "Regex": "(loss)|acc ([-+0-9.eE]+)"}]
    metrics = read_metrics(either, Objective(name="valid:loss"), ["acc 0.5"])
    assert [each.code for each in lint_metrics(metrics)] == ["regex-matches-nothing"]


CUT = {"Name": "valid:loss", "Regex": "val_loss=([0-9.]+)"}


@pytest.mark.parametrize(
    ("regex", "read"),
    [
        ("val_loss=([0-9.]+)", "reads 3.2 from 3.2e-02"),
        (r"val_loss=([0-9\.]+)", "reads 3.2 from 3.2e-02"),
        (r"val_loss=(\d+\.\d+)", "reads 3.2 from 3.2e-02"),
        (r"val_loss=(?P<loss>\d+(?:\.\d+)?)", "reads 3.2 from 3.2e-02"),
        ("val_loss=([0-9.]+);", "cannot read 3.2e-02"),
        ("loss.*([0-9.]+)", "reads 6 from 0.3456"),
        (r"val_loss=(\d+)", "reads 0 from 0.3456"),
    ],
)
def test_a_regex_that_cuts_numbers_is_found_before_the_search(regex, read):
    (found,) = lint_request(request([{**CUT, "Regex": regex}]))
    assert (found.code, found.severity) == ("regex-cuts-numbers", "warning")
    assert read in found.message
    mended = found.advice.split()[1]
    assert codes([{**CUT, "Regex": mended}]) == []
    line = "epoch 3: val_loss=3.2e-02;"
    assert read_metrics([{**CUT, "Regex": mended}], None, [line]).readings["valid:loss"][
        0
    ].value == (0.032)


@pytest.mark.parametrize(
    "regex",
    [
        "val_loss=([-+0-9.eE]+)",
        r"val_loss=(\S+)",
        "val_loss=(.*?);",
        r"val_loss=([0-9.]+(?:e-?[0-9]+)?)",
        r"(?:train|val)_loss=([0-9.e+-]+)",
        r'"val_loss": ([^,}]+)[,}]',
    ],
)
def test_a_regex_that_reads_every_number_is_clean(regex):
    assert codes([{**CUT, "Regex": regex}]) == []


@pytest.mark.parametrize(
    ("regex", "line", "read", "advice"),
    [
        ("val_loss=([0-9.]+)", "val_loss=3.2e-02 acc 1", "reads 3.2 from 3.2e-02", "Use val_loss="),
        (r"val_loss.*?([0-9.]+)", "val_loss -0.5", "reads 0.5 from -0.5", "Use val_loss.*?"),
        (r"val_loss=(\d+)", "val_loss=.5 val_loss=1.5", "reads 1 from 1.5", "Use val_loss="),
        ("loss.*([0-9.]+)", "val_loss: 0.25", "reads 5 from 0.25", "Use loss.*?"),
        ("val_loss=([0-9.]+)", "val_loss=1,234.5", "reads 1 from 1,234.5", "without thousands"),
    ],
)
def test_a_number_that_goes_on_beside_the_group_is_found_in_the_log(regex, line, read, advice):
    (found,) = [
        each
        for each in lint_request(request([{**CUT, "Regex": regex}]), [line])
        if each.code == "regex-cuts-numbers"
    ]
    assert found.severity == "error"
    assert read in found.message
    assert line in found.evidence
    assert advice in found.advice


@pytest.mark.parametrize(
    "line",
    [
        "val_loss=0.25",
        "val_loss=12%",
        "val_loss=1. ",
        "val_loss=.5, acc=0.1",
        "val_loss=3/10",
        "val_loss=0.5.",
        "12,000 images, val_loss=7",
        "val_loss=1,2,3",
    ],
)
def test_a_whole_number_is_clean(line):
    definition = {**CUT, "Regex": r"val_loss=([0-9]*\.?[0-9]*)"}
    assert codes([definition], [line]) == []


def test_what_stands_where_a_number_should():
    def advice(regex, line):
        (found,) = lint_request(request([{**CUT, "Regex": regex}]), [line])
        return found

    tensor = advice(r"val_loss=(\S+)", "val_loss=tensor(0.3)")
    assert (tensor.code, tensor.advice) == (
        "regex-not-a-number",
        "Print loss.item(), not the tensor.",
    )
    coloured = advice("val_loss=([0-9.e-]+)", "val_loss=\x1b[32m0.5\x1b[0m")
    assert coloured.code == "regex-matches-nothing"
    assert "colour codes" in coloured.advice
    assert "\\x1b[32m0.5" in coloured.evidence


@pytest.mark.slow
def test_a_regex_that_backtracks_is_found_and_named():
    (found,) = lint_request(request([{**CUT, "Regex": "(a+)+$"}]))
    assert (found.code, found.severity) == ("regex-too-slow", "warning")
    lines = ["a" * 15_000 + "!"] * 20
    found = lint_request(request([{**CUT, "Regex": "(a+)+$"}]), lines)
    assert "regex-too-slow" in [each.code for each in errors(found)]
