import json

import pytest

from dashboards.files.findings import Findings, read_findings
from tests.worlds.sample_instrumentation import rule_summaries, verdict


def write(folder, rules=None, verdict=None):
    for name, value in (("rules.json", rules), ("verdict.json", verdict)):
        if value is not None:
            (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return read_findings(folder / "rules.json", folder / "verdict.json")


def test_a_job_without_rules_is_not_judged(tmp_path):
    assert write(tmp_path) == Findings()
    assert not Findings().judged


def test_rules_come_by_what_they_found(tmp_path):
    found = write(tmp_path, {"rules": rule_summaries()[::-1], "stopped_by": None}, verdict())
    assert found.judged
    assert [rule.rule for rule in found.rules] == [
        "Overfit",
        "DataWaitShare",
        "DeadRelu",
        "VanishingGradient",
        "LowGPUUtilization",
    ]
    assert found.rules[-1].reason == "the job had no GPU"
    assert found.rules[-1].details == {}
    assert found.stopped_by is None
    assert {(mark.rule, mark.kind) for mark in found.marks} == {
        ("Overfit", "tensor"),
        ("DataWaitShare", "profiler"),
    }


def test_the_verdict_tells_its_gain_in_words(tmp_path):
    found = write(tmp_path, None, verdict()).verdict
    assert found.gain == "1.42 times as fast, about 41 s less for a job like this one"
    assert found.change == {"num_workers": 2}
    assert [other.change for other in found.others] == [{"weight_decay": 0.01}, {}]


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ({"kind": "none", "factor": None, "seconds": None}, ""),
        ({"kind": "quality", "factor": None, "seconds": None}, "a better model"),
        ({"kind": "speed"}, "a faster training"),
        (None, ""),
    ],
)
def test_a_gain_without_figures(tmp_path, gain, said):
    found = write(tmp_path, None, {"sentence": "s", "severity": "odd", "expected_gain": gain})
    assert found.verdict.gain == said
    assert found.verdict.severity == "warning"
    assert found.verdict.change == {}


def test_a_stop_names_rule_and_place(tmp_path):
    stop = {"rule": "ExplodingTensor", "step": 41, "epoch": 2, "mode": "TRAIN", "message": "NaN"}
    found = write(tmp_path, {"rules": [], "stopped_by": stop})
    mark = found.stopped_by
    assert (mark.rule, mark.step, mark.epoch, mark.message) == ("ExplodingTensor", 41, 2, "NaN")
    assert found.judged
    assert found.verdict is None


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"rules": {}}, None),
        ({"rules": 3}, "'rules' must be a list of objects, but got 3"),
        ({"rules": [3]}, "'rules' must be a list of objects"),
        (
            {"rules": [{"triggered": "often"}]},
            "'rules.triggered' must be a number, but got 'often'",
        ),
        ({"rules": [{"details": [1]}]}, "'rules.details' must be an object"),
        ({"rules": [{"marks": [{"step": None, "epoch": "x"}]}]}, "'marks.epoch' must be a number"),
        ({"stopped_by": "rule"}, "'stopped_by' must be an object"),
    ],
)
def test_a_malformed_member_is_named_with_its_file(tmp_path, rules, message):
    if message is None:
        assert write(tmp_path, rules).rules == ()
        return
    with pytest.raises(ValueError, match=message) as raised:
        write(tmp_path, rules)
    assert "rules.json" in str(raised.value)
