from __future__ import annotations

from typing import Any

import pytest

from sm_entrypoints.contract.arguments import parse_arguments
from sm_entrypoints.rules.cpu.steps import STEP_TIME_RULES
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.judgement import judge_evidence
from sm_entrypoints.rules.result import Mark, RuleResult
from sm_entrypoints.rules.verdict import case as verdict_case
from sm_entrypoints.rules.verdict.verdict import Verdict, reach_verdict
from tests.sm_entrypoints.rules.cases import (
    epochs_of,
    evidence,
    issue,
    job,
    results,
    series,
    steps,
    use,
)

WAITING = steps(phases=(0.06, 0.001, 0.03, 0.06, 0.002))
FROZEN = {"trainable": "head"}
UNKEPT = {"cache_features": "false"}
HEAD_STEP = (0.001, 0.001, 0.09, 0.001, 0.001)
MARK = Mark(step=17, epoch=2, mode="TRAIN", subject="conv1.weight", message="3 NaN")


def verdict(facts: Evidence, *found: RuleResult) -> Verdict:
    """Reach a verdict and check what holds for every one."""
    reached = reach_verdict(facts, results(*found))
    document = reached.document()
    assert document["sentence"].endswith(".")
    assert document["advice"]
    assert set(document) == {
        *("sentence", "severity", "rule", "evidence", "change", "advice", "expected_gain"),
        "others",
    }
    for one in (document, *document["others"]):
        # train.py takes the change as it stands.
        parse_arguments([f"--{name}={value}" for name, value in (one["change"] or {}).items()])
    return reached


def told(reached: Verdict) -> tuple[str | None, dict[str, Any] | None]:
    finding = reached.finding
    return finding.rule, None if finding.change is None else dict(finding.change)


def test_a_healthy_job_needs_no_change() -> None:
    judged = judge_evidence(evidence())
    assert not [result.rule for result in judged.results if result.triggered]
    finding = judged.verdict.finding
    assert finding.severity == "ok"
    assert finding.sentence.startswith("Nothing to change")
    assert finding.gain.kind == "none"
    assert any("computing, on 2 cores, 97% busy" in line for line in finding.evidence)


@pytest.mark.parametrize(("right", "severity"), [(0.25, "note"), (0.5, "ok")])
def test_few_images_that_show_no_gain_are_no_success(right: float, severity: str) -> None:
    # Of three classes; four images refute nothing.
    rows = epochs_of([0.8, 0.3, 0.2, 0.19], [0.7, 0.35, 0.3, 0.299], (0.3, right))
    few = [{**row, "samples": 4} for row in rows]
    finding = verdict(evidence(epochs=few)).finding
    assert finding.severity == severity
    unknown = (
        "to tell whether the model is better than guessing; on these it is not" in finding.sentence
    )
    assert unknown == (severity == "note")
    told = f"{100 * right:.0f}% of 4 validation images are right, where guessing gives 33%"
    assert told in finding.evidence


def test_an_empty_folder_says_nothing() -> None:
    reached = judge_evidence(Evidence()).verdict
    assert reached.sentence.startswith("No verdict")
    assert reached.finding.change is None


def test_a_frozen_backbone_repeats_its_features() -> None:
    frozen = evidence(steps=steps(phases=HEAD_STEP), job=job(model=FROZEN, arguments=UNKEPT))
    reached = verdict(frozen)
    assert told(reached) == (None, {"cache_features": "auto"})
    assert "cache_features=false was set" in reached.finding.evidence
    # 80 training steps and 8 of validation, 92 ms each, once instead of four times.
    assert reached.finding.gain.seconds == pytest.approx(0.75 * 88 * 0.092, abs=0.02)
    assert reached.finding.gain.factor == pytest.approx(15 / (15 - 6.07), abs=0.02)
    assert "704 images" in reached.sentence


@pytest.mark.parametrize(
    "changed",
    [
        {"cached_features": True},
        {"arguments": {**UNKEPT, "augmentation": "flip"}},
        {"model": {"trainable": "all"}},
        {"epochs_run": 1},
        {"features_fit": False},
        # Nobody forbade it: the training itself would have kept them if it could.
        {"arguments": {"cache_features": "auto"}},
        {"arguments": {"cache_features": "auto"}, "features_fit": True},
    ],
)
def test_features_that_cannot_be_kept_are_not_advised(changed: dict[str, Any]) -> None:
    table = steps(phases=HEAD_STEP)
    members = {"model": FROZEN, "arguments": UNKEPT, **changed}
    reached = verdict(evidence(steps=table, job=job(**members)))
    for finding in (reached.finding, *reached.others):
        assert "cache_features" not in (finding.change or {})
        assert "cache_features" not in finding.advice


def test_a_head_that_went_on_alone_is_judged_by_the_whole_network() -> None:
    """One epoch of HEAD_STEP, seven of less than a millisecond a step: nothing is odd about it."""
    table = steps(epochs=8, per_epoch=40, phases=HEAD_STEP, features_from=2)
    losses = [0.8, 0.3, 0.2, 0.19, 0.188, 0.187, 0.186, 0.186]
    rows = epochs_of(losses, [0.7, 0.35, 0.3, 0.299, 0.298, 0.297, 0.296, 0.296])
    for row in rows:
        row["seconds"] = 4.0 if row["epoch"] == 1 else 0.06
    measured = job(
        model=FROZEN,
        arguments={"cache_features": "auto", "epochs": 8},
        epochs_run=8,
        best_epoch=8,
        cached_features=True,
        features_from_epoch=2,
        process_use={**use(busy=0.5), "whole_network": use(busy=0.97, wall=4.0)},
    )
    judgement = judge_evidence(evidence(steps=table, epochs=rows, job=measured))
    assert not [result.rule for result in judgement.results if result.triggered]
    finding = judgement.verdict.finding
    assert finding.severity == "ok"
    assert (
        "epoch 1 ran the whole network in 4.0 s; since epoch 2 the head learns from its "
        "features, in 60 ms an epoch" in finding.evidence
    )


def waiting(facts: Evidence) -> RuleResult:
    rule = next(rule for rule in STEP_TIME_RULES if rule.name == "DataWait")
    return rule.evaluate(facts, rule.parameters)


def test_waiting_is_hidden_as_far_as_cores_are_idle() -> None:
    asleep = evidence(steps=WAITING, job=job(process_use=use(busy=0.3)))
    reached = verdict(asleep, waiting(asleep))
    assert told(reached) == ("DataWait", {"num_workers": 2})
    assert reached.finding.gain.seconds == pytest.approx(4.8, abs=0.1)
    half = evidence(steps=WAITING, job=job(process_use=use(busy=0.8)))
    reached = verdict(half, waiting(half))
    assert reached.finding.gain.seconds == pytest.approx(0.2 * 12.24, abs=0.1)
    assert "can be hidden" in reached.finding.gain.reasoning


def test_waiting_with_busy_cores_asks_for_less_work() -> None:
    busy = evidence(steps=WAITING, job=job(process_use=use(busy=0.99)))
    reached = verdict(busy, waiting(busy))
    assert told(reached) == ("DataWait", None)
    assert "make loading cheaper" in reached.finding.advice
    enough = evidence(steps=WAITING, summary={"workers": 2, "cores": 2})
    assert told(verdict(enough, waiting(enough))) == ("DataWait", None)


def test_a_short_training_that_waits_is_told_so_by_its_loaders() -> None:
    asleep = evidence(steps=WAITING, job=job(process_use=use(busy=0.3)))
    few = issue("Dataloader", percent=50.0, processes=1.0, problem="too few")
    reached = verdict(asleep, few)
    assert told(reached) == ("Dataloader", {"num_workers": 2})
    assert reached.sentence.startswith("Training waits for its images: ")
    assert reached.finding.gain.factor is not None
    assert not [other for other in reached.others if other.rule == "Dataloader"]


def crowd(threads: int, workers: int = 0) -> RuleResult:
    return issue(
        "ThreadOversubscription",
        threads=threads,
        workers=workers,
        cores=2,
        waiting_percent=60.0,
        involuntary_switches=9,
    )


@pytest.mark.parametrize(
    ("found", "change"),
    [
        (crowd(8), {"threads": 2}),
        (crowd(2, workers=6), {"num_workers": 1}),
        (
            issue(
                "BatchSizeThroughput",
                batch_size=1,
                better_batch_size=16,
                factor=5.0,
                fixed_percent=80.0,
                fixed_seconds=0.08,
                image_seconds=0.02,
                method="…",
            ),
            {"batch_size": 16},
        ),
        (issue("LowCPUUtilization", percent=40.0, measured="the machine"), None),
        (issue("BatchSize", gpu0=1.0), {"batch_size": 64}),
        (issue("LowGPUUtilization", gpu0={"p5": 1.0, "p95": 3.0}), {"batch_size": 64}),
        (issue("CPUBottleneck", percent=80.0), {"num_workers": 2}),
        (issue("IOBottleneck", percent=80.0), None),
        (issue("LoadBalancing"), None),
        (issue("GPUMemoryIncrease"), None),
        (issue("IOWait", mean_percent={"algo-1": 30.0}), None),
        (issue("Dataloader", percent=300.0), {"num_workers": 2}),
        (
            issue(
                "MemoryGrowth",
                megabytes_per_epoch=80.0,
                first_megabytes=500.0,
                last_megabytes=800.0,
            ),
            None,
        ),
        (
            issue(
                "StepOutlier",
                **{
                    "TRAIN forward": {
                        "outliers": 12,
                        "max_seconds": 1.0,
                        "median_seconds": 0.03,
                        "excess_seconds": 11.0,
                    }
                },
            ),
            None,
        ),
    ],
    ids=lambda value: getattr(value, "rule", ""),
)
def test_every_rule_has_its_advice(found: RuleResult, change: dict[str, Any] | None) -> None:
    assert told(verdict(evidence(), found)) == (found.rule, change)


def test_one_thread_on_two_cores_gets_both() -> None:
    idle = evidence(job=job(threads=1, process_use=use(busy=0.5)))
    reached = judge_evidence(idle).verdict
    assert told(reached) == ("LowCPUUtilization", {"threads": 2})
    assert reached.finding.gain.kind == "speed"


def test_idle_cores_count_validation_as_slow_numbers_do() -> None:
    """Half of the cores is more than what bfloat16 brings, however long validation takes."""
    table = steps(per_epoch=4, phases=(0.0005, 0.0001, 1.0, 0.2, 0.001))
    measured = job(threads=1, process_use=use(busy=0.5), arguments={"precision": "float32"})
    reached = judge_evidence(evidence(steps=table, job=measured)).verdict
    assert told(reached) == ("LowCPUUtilization", {"threads": 2})
    assert {"precision": "auto"} in [dict(other.change or {}) for other in reached.others]


def test_a_slow_start_and_slow_numbers() -> None:
    late = {"initialization": 100.0, "total": 130.0}
    assert told(verdict(evidence(job=job(seconds=late)))) == (None, None)
    found = issue("MaxInitializationTime", initialization_seconds=100.0)
    reached = verdict(evidence(job=job(seconds=late)), found)
    assert told(reached) == ("MaxInitializationTime", None)
    for arguments, change in (
        ({"precision": "float32"}, {"precision": "auto"}),
        ({"channels_last": "false"}, {"channels_last": "true"}),
    ):
        assert told(verdict(evidence(job=job(arguments=arguments)))) == (None, change)
    old = job(arguments={"precision": "float32"}, hardware={"bfloat16": False})
    assert verdict(evidence(job=old)).finding.severity == "ok"
    # Its default is float32: to set precision=auto would change nothing.
    frozen = evidence(job=job(arguments={"precision": "float32"}, model=FROZEN))
    told_of = [verdict(frozen).finding, *verdict(frozen).others]
    assert all("precision" not in (finding.change or {}) for finding in told_of)


def test_broken_numbers_come_first() -> None:
    facts = evidence(steps=WAITING)
    reached = verdict(facts, issue("ExplodingTensor", MARK), waiting(facts))
    assert told(reached) == ("ExplodingTensor", {"lr": 0.0001})
    assert "conv1.weight at step 17 (epoch 2)" in reached.sentence
    assert [other.rule for other in reached.others] == ["DataWait"]
    given = Mark(step=0, epoch=1, mode="TRAIN", subject="input", message="1 NaN")
    reached = verdict(evidence(), issue("ExplodingTensor", given))
    assert told(reached) == ("ExplodingTensor", None)
    assert "input is broken" in reached.sentence
    diverged = evidence(epochs=[], job=job(stopped="diverged", epochs_run=0))
    assert told(verdict(diverged)) == (None, {"lr": 0.0001})
    assert "the loss is no longer finite" in verdict(diverged).sentence


STUCK = epochs_of([1.1, 1.11, 1.1, 1.1], [1.1, 1.1, 1.1, 1.1], (0.3, 0.3))
WILD = epochs_of([4.0, 3.0, 9.0, 5.0], [2.0, 2.0, 3.0, 4.0], (0.3, 0.3))


@pytest.mark.parametrize(
    ("epochs", "found", "rule", "change"),
    [
        (STUCK, (), None, {"lr": 0.01}),
        (STUCK, (issue("LossNotDecreasing", MARK),), "LossNotDecreasing", {"lr": 0.01}),
        (WILD, (), None, {"lr": 0.0001}),
        (STUCK, (issue("DeadRelu", MARK),), "DeadRelu", {"lr": 0.0001}),
        (STUCK, (issue("VanishingGradient", MARK),), "VanishingGradient", None),
        (STUCK, (issue("AllZero"), issue("DeadRelu")), "AllZero", None),
        (STUCK[:2], (), None, {"epochs": 8}),
    ],
)
def test_a_network_that_learns_nothing(
    epochs: list[dict[str, Any]],
    found: tuple[RuleResult, ...],
    rule: str | None,
    change: dict[str, Any] | None,
) -> None:
    assert told(verdict(evidence(epochs=epochs), *found)) == (rule, change)


@pytest.mark.parametrize(
    ("best", "lr"), [(1.9, None), (3.0, 0.0001), (60.0, 0.00001)], ids=["near", "above", "far"]
)
def test_a_loss_that_falls_far_above_guessing_has_too_large_updates(
    best: float, lr: float | None
) -> None:
    losses = [9 * best, 4 * best, 2 * best, best]
    reached = verdict(evidence(epochs=epochs_of(losses, losses, (0.8, 0.5))))
    too_large = reached.sentence.startswith("The updates are too large: with lr=0.001 the loss is")
    assert too_large == (lr is not None)
    assert lr is None or reached.finding.change == {"lr": lr}
    unscaled = verdict(
        evidence(epochs=epochs_of(losses, losses, (0.8, 0.5))), issue("CheckInputImages", MARK)
    )
    assert unscaled.finding.rule == "CheckInputImages"


def test_symptoms_of_a_network_that_learns_are_no_verdict() -> None:
    reached = verdict(evidence(), issue("DeadRelu"), issue("VanishingGradient"))
    assert reached.finding.severity == "ok"


def test_labels_that_do_not_fit() -> None:
    losses = [1.0, 0.5, 0.2, 0.1], [1.1, 1.3, 1.9, 2.5]
    reached = verdict(evidence(epochs=epochs_of(*losses, (0.97, 0.33))))
    assert "by heart" in reached.sentence
    assert "labels" in reached.sentence


def test_a_model_that_is_often_right_over_fits_whatever_its_validation_loss() -> None:
    losses = [1.0, 0.5, 0.2, 0.1], [1.1, 1.3, 1.9, 2.5]
    reached = verdict(evidence(epochs=epochs_of(*losses, (0.97, 0.7))))
    assert "over-fits" in reached.sentence


def test_a_rate_of_next_to_nothing_is_raised_to_the_usual() -> None:
    facts = evidence(epochs=STUCK, job=job(arguments={"lr": 1e-6}))
    reached = verdict(facts)
    assert told(reached) == (None, {"lr": 0.001})
    assert reached.finding.advice.startswith("Raise lr to 0.001, ")


def test_data_that_is_uneven_or_not_normalised() -> None:
    counts = {"a": 200, "b": 180, "c": 10}
    scores = {"per_class": [{"label": "c", "recall": 0.1, "support": 10}]}
    uneven = evidence(class_counts=counts, evaluation=scores)
    reached = verdict(uneven, issue("ClassImbalance"))
    assert reached.sentence == "The classes are unequal: 200 training images of a, but 10 of c."
    assert "10% found" in reached.finding.evidence[-1]
    assert told(verdict(evidence(), issue("CheckInputImages", MARK)))[0] == "CheckInputImages"


@pytest.mark.parametrize(
    ("epochs", "changed", "change"),
    [
        (epochs_of([0.8, 0.6, 0.4, 0.3], [0.8, 0.6, 0.45, 0.35]), {}, {"epochs": 8}),
        (
            epochs_of([0.8, 0.2, 0.1, 0.1], [0.7, 0.5, 0.6, 0.6], (0.99, 0.7)),
            {},
            {"augmentation": "standard"},
        ),
        (
            epochs_of([0.8, 0.2, 0.1, 0.1], [0.7, 0.5, 0.6, 0.6], (0.99, 0.7)),
            {"model": FROZEN, "arguments": {"cache_features": "true"}},
            {"augmentation": "standard", "views": 4},
        ),
        (
            epochs_of([0.8, 0.2, 0.1, 0.1], [0.7, 0.5, 0.6, 0.6], (0.99, 0.7)),
            {"model": FROZEN, "arguments": {"augmentation": "flip", "views": 1}},
            {"augmentation": "standard"},
        ),
        (
            epochs_of([0.8, 0.2, 0.1, 0.1], [0.7, 0.5, 0.6, 0.6], (0.99, 0.7)),
            {"arguments": {"augmentation": "standard"}},
            {"label_smoothing": 0.1},
        ),
        # Over-fit does no harm while the validation loss still falls.
        (epochs_of([0.8, 0.6, 0.4, 0.3], [0.9, 0.8, 0.7, 0.6], (0.9, 0.7)), {}, {"epochs": 8}),
        (
            epochs_of([0.9, 0.8, 0.79, 0.79], [0.9, 0.8, 0.8, 0.8], (0.6, 0.58)),
            {"model": FROZEN, "cached_features": True},
            {"trainable": "all"},
        ),
        (
            epochs_of([0.5] + [0.1] * 9, [0.4] + [0.5] * 9),
            {"arguments": {"epochs": 10}, "epochs_run": 10},
            {"patience": 3},
        ),
    ],
)
def test_the_model_could_be_better(
    epochs: list[dict[str, Any]], changed: dict[str, Any], change: dict[str, Any]
) -> None:
    assert told(verdict(evidence(epochs=epochs, job=job(**changed)))) == (None, change)


def test_random_weights_are_named_when_it_over_fits() -> None:
    losses = epochs_of([0.8, 0.2, 0.1, 0.1], [0.7, 0.5, 0.6, 0.6], (0.99, 0.7))
    for fingerprints, said in (({"data": "1"}, True), ({"data": "1", "weights": "2"}, False)):
        facts = evidence(epochs=losses, job=job(model={"fingerprints": fingerprints}))
        assert ("random weights" in verdict(facts).finding.advice) == said


def test_what_saves_next_to_nothing_is_not_worth_a_change() -> None:
    quick = steps(phases=(0.001, 0.0, 0.002, 0.002, 0.0))
    facts = evidence(steps=quick, job=job(arguments={"precision": "float32"}))
    reached = verdict(facts)
    assert reached.finding.severity == "ok"
    assert reached.others[0].change == {"precision": "auto"}


def test_a_busy_machine_is_noted_but_no_verdict() -> None:
    reached = verdict(evidence(job=job(process_use=use(busy=0.5, waited=0.45))))
    assert reached.finding.severity == "ok"
    assert reached.others[0].sentence.startswith("Other programs kept the machine busy: for 47%")


@pytest.mark.parametrize(("waited", "doubted"), [(0.45, True), (0.01, False)])
def test_seconds_of_a_busy_machine_are_told_with_their_doubt(waited: float, doubted: bool) -> None:
    measured = job(model=FROZEN, arguments=UNKEPT, process_use=use(busy=0.5, waited=waited))
    reached = verdict(evidence(steps=steps(phases=HEAD_STEP), job=measured))
    assert reached.finding.change == {"cache_features": "auto"}
    assert ("other programs had the cores" in reached.finding.evidence[-1]) == doubted


def test_a_job_of_others_gets_advice_without_our_hyperparameters() -> None:
    theirs = evidence(
        job={},
        epochs=[],
        steps=WAITING,
        system=[series("cpu0", "CPUUtilization", 30.0), series("cpu1", "CPUUtilization", 30.0)],
    )
    reached = judge_evidence(theirs).verdict
    assert told(reached) == ("DataWait", None)
    assert "2 processes" in reached.finding.advice


def test_changes_keep_to_the_bounds_of_train_py() -> None:
    case = verdict_case.Case(evidence(job={"arguments": {"lr": 1.0}}), {})
    assert case.set(lr=1000.0, batch_size=10**6) == {"lr": 100, "batch_size": 65_536}
    assert case.set(num_workers=-1, threads=0) == {"num_workers": 0, "threads": 1}
    assert case.set(lr=0.0, epochs=0, weight_decay=11.0) == {
        **{"lr": 1e-12, "epochs": 1, "weight_decay": 10}
    }
    assert case.set(precision="auto") == {"precision": "auto"}
