"""Rules about the data: images that are not normalised, rare classes, classes mixed up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.result import Mark, RuleResult, not_applicable
from sm_entrypoints.rules.rule import Rule
from sm_entrypoints.rules.tensor.job import TensorJob
from sm_entrypoints.rules.tensor.watch import TensorWatch, tensor_rule

MOST_PAIRS = 10


class CheckInputImages(TensorWatch):
    """The batches that the network is fed with have not been normalised.

    AWS asks for |mean| <= 0.2 over 500 images. Images with bright backgrounds miss that when they
    are normalised as the pretrained network wants them, so the mean alone says nothing: inputs
    also have to look as if nothing had been subtracted (no value below ``-threshold_mean``: plain
    0 to 1 or 0 to 255) or nothing divided (standard deviation above ``threshold_std``).
    ``threshold_samples`` images are waited for, or a tenth of the job's.
    """

    rule = "CheckInputImages"
    collections = ("inputs",)

    def __init__(self, job: TensorJob, parameters: Mapping[str, Any]) -> None:
        super().__init__(job, parameters)
        planned = job.steps * job.batch_size
        if planned:
            least = min(self.parameters["threshold_samples"], max(1, planned // 10))
            self.parameters["threshold_samples"] = least
        self._samples = 0
        self._sum = 0.0
        self._spread = 0.0
        self._least = math.inf

    def _look(self, record: TensorRecord) -> Mark | None:
        if record.mean is None or record.std is None or record.min is None:
            return None
        self._samples += self.job.batch_size
        self._sum += record.mean * self.job.batch_size
        self._spread = max(self._spread, record.std)
        self._least = min(self._least, record.min)
        mean, bound = self._sum / self._samples, self.parameters["threshold_mean"]
        raw = self._least > -bound or self._spread > self.parameters["threshold_std"]
        broken = abs(mean) > bound and raw
        self.violations += broken
        if not broken or self._samples < self.parameters["threshold_samples"]:
            return None
        message = (
            f"mean {mean:.3g}, standard deviation {self._spread:.3g}, smallest value "
            f"{self._least:.3g} over {self._samples} images"
        )
        return self.trigger(record, message)

    def details(self) -> dict[str, Any]:
        """Return what was seen."""
        mean = self._sum / self._samples if self._samples else None
        return {"images": self._samples, "mean": mean, "std": self._spread, "min": self._least}


def class_imbalance(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Compare the largest class with the smallest, and look how the rare ones are recognised.

    AWS flags any class of which more than ``threshold_misprediction`` is mistaken; here only a
    class with fewer than half of the mean number of images is, others are Confusion's. With fewer
    than ``samples_per_class`` images in the largest class the counts are too small to compare.
    """
    counts = {label: n for label, n in evidence.class_counts.items() if n > 0}
    if len(counts) < 2:
        return not_applicable("ClassImbalance", "the training images by class are not known")
    largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    ratio = counts[largest] / counts[smallest]
    enough = counts[largest] >= parameters["samples_per_class"]
    rare = {label for label, n in counts.items() if n * 2 * len(counts) < sum(counts.values())}
    missed = [
        {"label": row["label"], "recall": row["recall"], "images": counts[row["label"]]}
        for row in (evidence.evaluation or {}).get("per_class", [])
        if row["label"] in rare
        and row["support"] > 0
        and 1 - row["recall"] > parameters["threshold_misprediction"]
    ]
    unequal = enough and ratio > parameters["threshold_imbalance"]
    violations = int(unequal) + len(missed)
    message = f"{counts[largest]} images of {largest!r}, but {counts[smallest]} of {smallest!r}"
    return RuleResult(
        rule="ClassImbalance",
        status="IssuesFound" if violations else "NoIssuesFound",
        triggered=violations,
        violations=violations,
        datapoints=len(counts),
        details={
            "ratio": ratio,
            "largest": {"label": largest, "images": counts[largest]},
            "smallest": {"label": smallest, "images": counts[smallest]},
            "missed": missed,
        },
        marks=(_mark(evidence, smallest, message),) if unequal else (),
    )


def confusion(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Look for classes that are hardly recognised, or are mostly taken for one other class.

    AWS's 0.9 on the diagonal and 0.1 beside it flag every classifier that is not nearly perfect.
    ``min_diag`` is 1.5 times chance here (at most one half), ``max_off_diag`` one half: more than
    half of a class is taken for another one. Classes with fewer than ``min_support`` test images
    are ignored.
    """
    document = evidence.evaluation or {}
    table = np.array(document.get("confusion") or [], dtype=np.float64)
    classes = list(document.get("classes") or [])
    if table.ndim != 2 or table.shape != (len(classes), len(classes)) or len(classes) < 2:
        return not_applicable("Confusion", "there is no evaluation with a confusion matrix")
    diagonal = parameters["min_diag"] or min(0.5, 1.5 / len(classes))
    used = {**parameters, "min_diag": diagonal}
    support = table.sum(axis=1)
    looked_at = np.flatnonzero(support >= parameters["min_support"])
    if not len(looked_at):
        reason = f"no class has {parameters['min_support']} test images"
        return not_applicable("Confusion", reason)
    shares = table[looked_at] / support[looked_at, None]
    confused = []
    for row, index in zip(shares, looked_at.tolist(), strict=True):
        others = np.where(np.arange(len(classes)) == index, -1.0, row)
        taken = int(others.argmax())
        if row[index] < diagonal or others[taken] > parameters["max_off_diag"]:
            confused.append(
                (classes[index], float(row[index]), classes[taken], float(others[taken]))
            )
    confused.sort(key=lambda pair: pair[1])
    return RuleResult(
        rule="Confusion",
        status="IssuesFound" if confused else "NoIssuesFound",
        triggered=len(confused),
        violations=len(confused),
        datapoints=len(looked_at),
        details={"classes": [_pair(*pair) for pair in confused[:MOST_PAIRS]]},
        parameters=used,
        marks=tuple(
            _mark(evidence, label, f"{right:.0%} recognised, {wrong:.0%} taken for {other!r}")
            for label, right, other, wrong in confused[:MOST_PAIRS]
        ),
    )


def _pair(label: str, recognised: float, taken_for: str, share: float) -> dict[str, Any]:
    return {"label": label, "recognised": recognised, "taken_for": taken_for, "share": share}


def _mark(evidence: Evidence, subject: str, message: str) -> Mark:
    """Return a mark at the delivered epoch: these rules are about the job as a whole."""
    epoch = evidence.job.get("best_epoch")
    epoch = epoch if isinstance(epoch, int) else 0
    return Mark(step=0, epoch=epoch, mode="EVAL", subject=subject, message=message)


DATA_RULES = (
    tensor_rule(
        CheckInputImages,
        kind="data",
        description="Checks whether the network's input batches are normalised.",
        threshold="The absolute mean is above 0.2, and there are no negative values or the "
        "standard deviation is above 5.",
        recommendation="Subtract the mean and divide by the standard deviation that the "
        "weights were trained with, and do the same when serving.",
        parameters={"threshold_mean": 0.2, "threshold_samples": 500, "threshold_std": 5.0},
    ),
    Rule(
        name="ClassImbalance",
        kind="data",
        description="Compares the classes' numbers of training images.",
        threshold="The largest class has more than 10 times the images of the smallest, or more "
        "than 70% of a rare class's test images are misclassified.",
        recommendation="Add images of the rare classes; without them, judge by the recall of each "
        "class and not by the accuracy.",
        evaluate=class_imbalance,
        parameters={
            "threshold_imbalance": 10.0,
            "threshold_misprediction": 0.7,
            "samples_per_class": 20,
        },
    ),
    Rule(
        name="Confusion",
        kind="data",
        description="Looks for classes that the model does not recognise, or confuses with one "
        "other class.",
        threshold="A class is recognised less often than 1.5 times chance (at most one half), or "
        "more than half of its images are taken for one other class.",
        recommendation="Look at the mistakes of these classes: wrong or shuffled labels, two "
        "classes that show the same thing, or too few images.",
        evaluate=confusion,
        parameters={"min_diag": None, "max_off_diag": 0.5, "min_support": 5},
    ),
)
