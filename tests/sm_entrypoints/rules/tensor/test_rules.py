"""Each tensor rule on records made by hand: where exactly its border is, and what it ignores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.result import RuleResult
from sm_entrypoints.rules.tensor.job import TensorJob
from sm_entrypoints.rules.tensor.rules import TENSOR_RULES
from sm_entrypoints.rules.tensor.runs import StalledWatch

BY_NAME = {rule.name: rule for rule in TENSOR_RULES}
PRETRAINED = {"model": {"fingerprints": {"weights": "abc"}}}


def judge(
    rule: str, records: Iterable[TensorRecord], job: dict[str, Any] | None = None, **parameters: Any
) -> RuleResult:
    evidence = Evidence(records=list(records), job=job or {})
    return BY_NAME[rule].evaluate(evidence, {**BY_NAME[rule].parameters, **parameters})


def tensor(step: int, collection: str, name: str, **values: Any) -> TensorRecord:
    return TensorRecord(
        step=step, epoch=1, mode="TRAIN", collection=collection, name=name, **values
    )


def losses(*epochs: tuple[Sequence[float], Sequence[float]]) -> list[TensorRecord]:
    """Return the loss records of epochs, each of training and validation losses."""
    found: list[TensorRecord] = []
    counts = {"TRAIN": 0, "EVAL": 0}
    for number, epoch in enumerate(epochs, start=1):
        for mode, values in zip(counts, epoch, strict=True):
            for value in values:
                found.append(
                    TensorRecord(
                        step=counts[mode],
                        epoch=number,
                        mode=mode,
                        collection="losses",
                        name="loss",
                        mean=value if math.isfinite(value) else None,
                    )
                )
                counts[mode] += 1
    return found


def test_nothing_recorded_is_not_applicable() -> None:
    for rule in TENSOR_RULES:
        found = rule.evaluate(Evidence(), rule.parameters)
        assert found.status == "NotApplicable", rule.name
        assert found.details["reason"], rule.name


@pytest.mark.parametrize(
    ("record", "only_nan", "triggered"),
    [
        ({"nan": 1}, False, 1),
        ({"inf": 2}, False, 1),
        ({"inf": 2}, True, 0),
        ({"mean": 1e30}, False, 0),
    ],
)
def test_exploding_tensor(record: dict[str, Any], only_nan: bool, triggered: int) -> None:
    records = [tensor(3, "gradients", "gradient/fc.bias", **record)]
    found = judge("ExplodingTensor", records, only_nan=only_nan)
    assert (found.triggered, found.datapoints) == (triggered, 1)
    assert [mark.step for mark in found.marks] == [3] * triggered


@pytest.mark.parametrize(
    ("name", "shares", "triggered"),
    [
        ("gradient/fc.weight", (1.0, 1.0), 1),
        ("gradient/fc.weight", (1.0, 0.999, 1.0), 0),
        ("gradient/fc.bias", (1.0, 1.0), 0),
    ],
)
def test_all_zero(name: str, shares: tuple[float, ...], triggered: int) -> None:
    records = [tensor(i, "gradients", name, zero_fraction=s) for i, s in enumerate(shares)]
    assert judge("AllZero", records).triggered == triggered


@pytest.mark.parametrize(
    ("sizes", "loss", "triggered"),
    [
        ((9e-8, 9e-8), 1.0, 1),
        ((9e-8, 2e-7, 9e-8), 1.0, 0),
        ((9e-8, 9e-8, 9e-8), 0.001, 0),  # there is nothing left to learn
    ],
)
def test_vanishing_gradient(sizes: tuple[float, ...], loss: float, triggered: int) -> None:
    records = [tensor(0, "losses", "loss", mean=loss)]
    records += [
        tensor(i, "gradients", "gradient/a.weight", abs_mean=s) for i, s in enumerate(sizes)
    ]
    assert judge("VanishingGradient", records).triggered == triggered


@pytest.mark.parametrize(
    ("low", "high", "triggered"),
    [
        (5.0, 21.0, 3),  # the middle is 10.2
        (5.0, 19.0, 0),
        (0.03, 200.0, 0),  # some weights near zero, as in every layer
        (1e6, 1e6, 0),  # weights that were zero: a ratio to epsilon
        (0.0, 9e-9, 1),
        (0.0, 2e-8, 0),
    ],
)
def test_weight_update_ratio(low: float, high: float, triggered: int) -> None:
    records = [
        tensor(step, "update_ratios", "update_ratio/fc.weight", p5=low, p95=high)
        for step in range(3)
    ]
    assert judge("WeightUpdateRatio", records).triggered == triggered


def test_weights_may_rest_at_the_end_of_a_schedule() -> None:
    job = {"arguments": {"epochs": 4}, "steps_per_epoch": 10}
    end = [
        tensor(step, "update_ratios", "update_ratio/fc.weight", p5=0.0, p95=0.0, max=0.0)
        for step in range(30, 40)
    ]
    for rule in ("WeightUpdateRatio", "UnchangedTensor"):
        assert judge(rule, end, job).triggered == 0
        assert judge(rule, end).triggered > 0  # of unknown length: not the end


def test_an_output_that_never_changes() -> None:
    values = {"mean": 0.5, "std": 0.1, "min": 0.0, "max": 1.0, "abs_mean": 0.5}
    same = [tensor(step, "outputs", "output", **values) for step in range(3)]
    assert judge("UnchangedTensor", same).triggered == 1
    moved = [*same[:2], tensor(2, "outputs", "output", **{**values, "std": 0.1001})]
    assert judge("UnchangedTensor", moved).triggered == 0


@pytest.mark.parametrize(("std", "triggered"), [(0.0, 1), (1e-7, 0), (999.0, 0), (1001.0, 1)])
def test_tensor_variance(std: float, triggered: int) -> None:
    records = [tensor(step, "relu_input", "relu_input_0", std=std) for step in range(2)]
    assert judge("TensorVariance", records).triggered == triggered


@pytest.mark.parametrize(
    ("epochs", "triggered"),
    [
        ([2.3, 2.299, 2.298], 2),  # hardly anything
        ([2.3, 2.2, 2.2], 0),  # it did fall
        ([2.3, 0.3, 0.3], 0),  # converged
        ([0.3, 0.5, 0.5], 2),  # rising
        ([9.0, 8.0, 6.0], 3),  # falling, but worse than guessing among ten classes
    ],
)
def test_loss_not_decreasing(epochs: list[float], triggered: int) -> None:
    job = {
        "arguments": {"epochs": 3},
        "steps_per_epoch": 4,
        "model": {"classes": list("abcdefghij")},
    }
    wobble = (-0.001, 0.001, 0.002, -0.002)
    records = losses(*(([mean + w for w in wobble], [1.0]) for mean in epochs))
    if epochs[0] > 2 * math.log(10):
        records[0] = losses(([2.3], []))[0]
    found = judge("LossNotDecreasing", records, job)
    assert (found.parameters["num_steps"], found.triggered) == (4, triggered)


def test_noise_is_no_rising_loss() -> None:
    job = {"arguments": {"epochs": 2}, "steps_per_epoch": 4, "model": {"classes": ["a", "b"]}}
    records = losses(([0.1, 0.3, 0.01, 0.2], [0.1]), ([0.2, 0.4, 0.02, 0.1], [0.1]))
    assert judge("LossNotDecreasing", records, job).triggered == 0


def test_overfit_needs_a_gap_and_a_rise() -> None:
    job = {"arguments": {"epochs": 5}}
    gap = losses(*(([1 / n], [1.0]) for n in range(1, 6)))
    assert judge("Overfit", gap, job).triggered == 0
    rise = losses(*(([1 / n], [1.0 if n < 4 else 1.2]) for n in range(1, 6)))
    found = judge("Overfit", rise, job)
    assert (found.triggered, found.marks[0].epoch) == (1, 5)
    both_rise = losses(*(([1.2], [1.0 if n < 4 else 1.2]) for n in range(1, 6)))
    assert judge("Overfit", both_rise, job).triggered == 0


def test_overtraining_waits_for_its_patience() -> None:
    def run(epochs: int) -> list[TensorRecord]:
        return losses(*(([1 / n], [1.0 if n < 2 else 0.995]) for n in range(1, epochs + 1)))

    job = {"arguments": {"epochs": 10}}
    assert judge("Overtraining", run(4), job).triggered == 0
    found = judge("Overtraining", run(5), job)
    assert (found.triggered, found.parameters["patience_validation"]) == (1, 4)
    assert "still falls" in found.marks[0].message


def test_epochs_without_finite_losses_are_left_out() -> None:
    records = losses(([1.0], [1.0]), ([math.nan], [9.0]))
    assert judge("Overfit", records).details["valid"] == 1.0


def _fresh_network(*stds: float) -> list[TensorRecord]:
    found = [tensor(0, "relu_input", f"relu{i}_input_0", std=std) for i, std in enumerate(stds)]
    return [*found, *losses(([1.0], []))]


@pytest.mark.parametrize(
    ("stds", "triggered"),
    [
        ((1.0, 0.3), 1),  # variances 1 and 0.09 in two layers
        ((1.0, 0.33), 0),
        ((1.0, 0.5, 0.33, 0.25), 0),  # a factor of 16 over three layers
        ((1.0, 0.0), 1),
        ((1.0,), 0),
    ],
)
def test_poor_weight_initialization(stds: tuple[float, ...], triggered: int) -> None:
    assert judge("PoorWeightInitialization", _fresh_network(*stds)).triggered == triggered
    given = judge("PoorWeightInitialization", _fresh_network(*stds), PRETRAINED)
    assert given.status == "NotApplicable"


@pytest.mark.parametrize(
    ("values", "job", "triggered"),
    [
        ({"inactive_fraction": 0.51}, {}, 1),
        ({"inactive_fraction": 0.5}, {}, 0),
        ({"inactive_fraction": 0.6}, PRETRAINED, 0),
        ({"inactive_fraction": 0.91}, PRETRAINED, 1),
        ({"zero_fraction": 0.999}, {}, 1),  # a file without inactive_fraction
        ({"zero_fraction": 0.9}, {}, 0),
    ],
)
def test_dead_relu(values: dict[str, float], job: dict[str, Any], triggered: int) -> None:
    records = [tensor(step, "relu_output", "relu_output_0", **values) for step in range(2)]
    assert judge("DeadRelu", records, job).triggered == triggered
    gates = [tensor(step, "relu_output", "1.activation_output_0", **values) for step in range(2)]
    assert judge("DeadRelu", gates, job).triggered == 0


@pytest.mark.parametrize(
    ("mean", "std", "least", "triggered"),
    [
        (0.45, 0.25, 0.0, 1),  # from 0 to 1
        (114.0, 60.0, 0.0, 1),  # from 0 to 255
        (0.0, 60.0, -110.0, 0),
        (20.0, 60.0, -110.0, 1),  # centred, but not scaled
        (1.9, 1.0, -2.1, 0),  # a bright background, normalised
        (0.1, 0.25, 0.0, 0),
    ],
)
def test_check_input_images(mean: float, std: float, least: float, triggered: int) -> None:
    records = [tensor(0, "inputs", "input", mean=mean, std=std, min=least)]
    job = {"arguments": {"epochs": 1, "batch_size": 50}, "steps_per_epoch": 10}
    found = judge("CheckInputImages", records, job)
    assert (found.triggered, found.parameters["threshold_samples"]) == (triggered, 50)


@pytest.mark.parametrize(
    ("counts", "recall", "triggered"),
    [
        ({"a": 200, "b": 20}, 0.9, 0),
        ({"a": 201, "b": 20}, 0.9, 1),
        ({"a": 19, "b": 1}, 0.9, 0),  # too few images to tell
        ({"a": 100, "b": 20}, 0.2, 1),  # rare, and mistaken
        ({"a": 100, "b": 60}, 0.2, 0),  # not rare: Confusion's business
    ],
)
def test_class_imbalance(counts: dict[str, int], recall: float, triggered: int) -> None:
    per_class = [{"label": "a", "recall": 1.0, "support": 10}]
    per_class += [{"label": "b", "recall": recall, "support": 10}]
    evidence = Evidence(class_counts=counts, evaluation={"per_class": per_class})
    rule = BY_NAME["ClassImbalance"]
    assert rule.evaluate(evidence, rule.parameters).triggered == triggered


@pytest.mark.parametrize(
    ("table", "triggered"),
    [
        ([[10, 0, 0], [0, 10, 0], [0, 0, 10]], 0),
        ([[6, 4, 0], [2, 6, 2], [2, 2, 6]], 0),
        ([[4, 3, 3], [0, 10, 0], [0, 0, 10]], 1),  # below one half of a class
        ([[0, 4, 0], [0, 10, 0], [0, 0, 10]], 0),  # four images tell nothing
    ],
)
def test_confusion(table: list[list[int]], triggered: int) -> None:
    evidence = Evidence(evaluation={"classes": ["a", "b", "c"], "confusion": table})
    rule = BY_NAME["Confusion"]
    assert rule.evaluate(evidence, rule.parameters).triggered == triggered


def test_stalled_training_scales_to_the_job() -> None:
    def run(gap: float, total: float) -> RuleResult:
        started = np.array([0.0, 1.0, 1.5 + gap, total])
        steps: dict[str, Any] = {"step": np.arange(4.0), "epoch": np.ones(4), "started": started}
        steps |= {"mode": np.array(["TRAIN"] * 4)}
        steps |= dict.fromkeys(("data_wait", "transfer", "backward", "optimizer"), np.zeros(4))
        steps |= {"forward": np.array([1.0, 0.5, total - 1.5 - gap, 1.0])}
        rule = BY_NAME["StalledTrainingRule"]
        return rule.evaluate(Evidence(steps=steps), rule.parameters)

    assert run(9.0, 60.0).triggered == 0
    found = run(11.0, 60.0)
    assert (found.triggered, found.marks[0].step) == (1, 2)
    assert run(11.0, 600.0).triggered == 0
    assert run(61.0, 600.0).triggered == 1
    assert run(1801.0, 100_000.0).triggered == 1


def test_a_stall_is_noticed_when_training_goes_on() -> None:
    now = [0.0]
    rule = BY_NAME["StalledTrainingRule"]
    watch = StalledWatch(TensorJob(), rule.parameters, clock=lambda: now[0])
    marks = []
    for step in range(40):
        now[0] += 60.0 if step == 30 else 0.1
        marks.append(watch.observe(tensor(step, "losses", "loss", mean=1.0)))
    assert [mark.step for mark in marks if mark] == [30]


def test_the_job_is_read_from_its_files() -> None:
    job = {
        "arguments": {"epochs": 3, "batch_size": 8},
        "model": {"classes": ["a", "b"], "fingerprints": {"data": "1", "weights": "2"}},
    }
    records = losses(([1.0, 1.0, 1.0], [1.0]), ([1.0], []))
    found = TensorJob.from_evidence(Evidence(records=records, job=job))
    assert found == TensorJob(steps_per_epoch=3, epochs=3, batch_size=8, classes=2, pretrained=True)
    assert found.steps == 9
    assert (found.rests(6), found.rests(7)) == (False, True)
