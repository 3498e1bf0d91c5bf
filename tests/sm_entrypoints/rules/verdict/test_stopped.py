from __future__ import annotations

from typing import Any

import pytest

from sm_entrypoints.contract.arguments import parse_arguments
from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.result import RuleResult
from sm_entrypoints.rules.verdict.verdict import reach_verdict
from tests.sm_entrypoints.rules.cases import evidence, issue, job, results

CONV = "conv1.weight"


def stopped(rule: str, *records: TensorRecord, best_epoch: int = 0, **arguments: Any) -> Evidence:
    stop = {"rule": rule, "step": 7, "epoch": 2, "mode": "TRAIN", "subject": CONV, "message": "odd"}
    facts = job(arguments=arguments, stopped="rule", stopped_by=stop, best_epoch=best_epoch)
    return evidence(records=records, job=facts)


def record(collection: str, name: str, step: int, **statistics: float) -> TensorRecord:
    place: dict[str, Any] = {"step": step, "epoch": 1, "mode": "TRAIN"}
    return TensorRecord(**place, collection=collection, name=name, **statistics)


def losses(*values: float) -> list[TensorRecord]:
    return [record("losses", "loss", step, mean=value) for step, value in enumerate(values)]


@pytest.mark.parametrize(
    ("rule", "records", "factor"),
    [
        ("AllZero", [], None),
        ("TensorVariance", [], 0.1),
        ("WeightUpdateRatio", [record("update_ratios", f"update_ratio/{CONV}", 7, p95=40)], 0.1),
        ("WeightUpdateRatio", [record("update_ratios", f"update_ratio/{CONV}", 7, p95=1e-9)], 10),
        ("WeightUpdateRatio", [record("update_ratios", "update_ratio/fc.weight", 7, p95=1)], None),
        ("LossNotDecreasing", losses(2.3, 2.3), 10),
        ("LossNotDecreasing", losses(2.3, 900), 0.1),
    ],
)
def test_the_rule_that_stopped_a_job_is_its_verdict(
    rule: str, records: list[TensorRecord], factor: float | None
) -> None:
    # Whatever else there is to say: this network is also said to wait for its images.
    found = issue("MaxInitializationTime", initialization_seconds=1000.0)
    finding = reach_verdict(stopped(rule, *records, lr=0.02), results(found)).finding
    assert (
        finding.sentence == f"The rule {rule} stopped the training at step 7 (epoch 2, TRAIN): odd."
    )
    assert (finding.rule, finding.severity) == (rule, "error")
    assert finding.evidence == (f"it is about {CONV}",)
    assert finding.advice
    change = finding.change
    assert (change is None) == (factor is None)
    if change is not None and factor is not None:
        assert change == {"lr": pytest.approx(0.02 * factor)}
        parse_arguments([f"--lr={change['lr']}"])


def test_a_finding_about_the_same_rule_says_it_better() -> None:
    found: RuleResult = issue("ExplodingTensor")
    reached = reach_verdict(stopped("ExplodingTensor", best_epoch=1), results(found))
    assert reached.finding.sentence.startswith("The numbers exploded")
    assert reached.finding.evidence[0] == (
        "the rule ExplodingTensor stopped the training at step 7 (epoch 2, TRAIN)"
    )
    assert "ExplodingTensor" not in {other.rule for other in reached.others}


def test_with_a_model_to_deliver_it_is_a_warning() -> None:
    reached = reach_verdict(stopped("UnchangedTensor", best_epoch=1), results())
    assert (reached.finding.rule, reached.finding.severity) == ("UnchangedTensor", "warning")


def test_the_rate_stays_one_that_the_training_takes() -> None:
    facts = stopped("LossNotDecreasing", *losses(2.3, 2.3), lr=50.0)
    assert reach_verdict(facts, results()).finding.change == {"lr": 100.0}
