"""Rules as a request names them: parameters are strings, several may be of one kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from sm_entrypoints.contract import PROFILER_REPORT_RULE
from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.evidence import Evidence, Series
from sm_entrypoints.rules.requested import RequestedRule, judge_requested


def losses(*values: float) -> list[TensorRecord]:
    return [
        TensorRecord(step=i, epoch=1, mode="TRAIN", collection="losses", name="loss", mean=value)
        for i, value in enumerate(values)
    ]


def judged(evidence: Evidence, rule: str, **parameters: str) -> dict[str, Any]:
    requested = RequestedRule.from_document(
        {"name": f"my {rule}", "rule": rule, "parameters": {"rule_to_invoke": rule, **parameters}}
    )
    (found,) = judge_requested(evidence, [requested], {})
    return found


def test_thresholds_of_the_request_are_in_force() -> None:
    evidence = Evidence(records=losses(*[1.0] * 40))
    found = judged(evidence, "LossNotDecreasing", num_steps="10", diff_percent="0.1")
    assert (found["name"], found["status"]) == ("my LossNotDecreasing", "IssuesFound")
    assert found["triggered"] > 0
    assert found["step"] is not None
    assert "num_steps:10" in found["reports"]["LossNotDecreasing"]["RuleParameters"].splitlines()
    falling = Evidence(records=losses(*(1.0 - 0.01 * i for i in range(40))))
    assert judged(falling, "LossNotDecreasing", num_steps="10")["status"] == "NoIssuesFound"
    gradients = [
        TensorRecord(
            step=i, epoch=1, mode="TRAIN", collection="gradients", name="fc.weight", abs_mean=0.5
        )
        for i in range(9)
    ]
    evidence = Evidence(records=gradients)
    assert judged(evidence, "VanishingGradient")["status"] == "NoIssuesFound"
    assert judged(evidence, "VanishingGradient", threshold="0.6")["status"] == "IssuesFound"


def test_what_cannot_be_used_is_named() -> None:
    evidence = Evidence(records=losses(1.0, 1.0))
    found = judged(
        evidence,
        "LossNotDecreasing",
        num_steps="soon",
        mode="EVAL",
        tensor_regex=".*",
        base_trial="x",
    )
    assert found["unused"] == ["num_steps", "tensor_regex"]


def test_nothing_to_look_at_has_its_reason() -> None:
    found = judged(Evidence(), "VanishingGradient")
    assert found["status"] == "NotApplicable"
    assert found["reason"] == "no gradients were recorded"
    assert found["recorded"] is False
    too_few = judged(Evidence(records=losses(1.0)), "LossNotDecreasing")
    assert (too_few["status"], too_few["recorded"]) == ("NotApplicable", True)


def test_a_profiler_report_is_all_profiler_rules() -> None:
    moments = np.arange(20.0)
    busy = Series(
        node="algo-1",
        dimension="CPUUtilization",
        name="cpu0",
        timestamps=moments,
        values=np.full(20, 50.0),
    )
    evidence = Evidence(system=[busy], summary={"initialization_seconds": 90.0})
    found = judged(evidence, PROFILER_REPORT_RULE, StepOutlier_stddev="5", StepOutlier_nothing="1")
    assert found["unused"] == ["StepOutlier_nothing"]
    assert len(found["reports"]) == 11
    assert found["reports"]["StepOutlier"]["RuleParameters"].startswith("stddev:5")
    assert found["reports"]["OverallSystemUsage"]["Datapoints"] == 20
    assert found["status"] == "NoIssuesFound"
    assert judged(Evidence(), PROFILER_REPORT_RULE)["status"] == "NotApplicable"
