"""What tensor rules must know of a job beforehand, to scale their thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sm_entrypoints.rules.evidence import Evidence

# Rates fall to nothing at the end of most schedules: weights that rest there are no fault.
RESTING_SHARE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorJob:
    """The length of a training and where it starts.

    Attributes:
        steps_per_epoch: TRAIN steps an epoch; 0 when unknown. epochs: epochs that are planned; 0
        when unknown. batch_size: images a step. classes: number of classes; 0 if unknown.
        pretrained: whether the network started from given weights.
    """

    steps_per_epoch: int = 0
    epochs: int = 0
    batch_size: int = 1
    classes: int = 0
    pretrained: bool = False

    @property
    def steps(self) -> int:
        """TRAIN steps that are planned; 0 when unknown."""
        return self.steps_per_epoch * self.epochs

    def rests(self, step: int) -> bool:
        """Whether ``step`` is so late that a schedule may have taken the rate to nothing."""
        return self.steps > 0 and step >= RESTING_SHARE * self.steps

    @classmethod
    def from_evidence(cls, evidence: Evidence) -> TensorJob:
        """Return what the files of a job say; the same as the job itself knew beforehand."""
        arguments = _mapping(evidence.job.get("arguments"))
        model = _mapping(evidence.job.get("model"))
        fingerprints, classes = _mapping(model.get("fingerprints")), model.get("classes")
        epochs = _whole(arguments.get("epochs"))
        return cls(
            steps_per_epoch=_steps_per_epoch(evidence),
            epochs=epochs or _whole(evidence.job.get("epochs_run")),
            batch_size=max(1, _whole(arguments.get("batch_size"))),
            classes=len(classes) if isinstance(classes, list) else 0,
            pretrained="weights" in fingerprints,
        )


def _steps_per_epoch(evidence: Evidence) -> int:
    """Return the most TRAIN steps of one epoch: a stopped epoch has fewer."""
    recorded = _whole(evidence.job.get("steps_per_epoch"))
    if recorded:
        return recorded
    if "epoch" in evidence.steps and "mode" in evidence.steps:
        trained = evidence.steps["epoch"][evidence.steps["mode"] == "TRAIN"]
        counts = [int((trained == epoch).sum()) for epoch in set(trained.tolist())]
        return max(counts, default=0)
    counts_by_epoch: dict[int, int] = {}
    for record in evidence.records:
        if record.collection == "losses" and record.mode == "TRAIN":
            counts_by_epoch[record.epoch] = counts_by_epoch.get(record.epoch, 0) + 1
    return max(counts_by_epoch.values(), default=0)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0
