"""One trial of a packed search: what it tries, how far it is, and its row in the trial table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from torch import Tensor

from sm_entrypoints.contract import OBJECTIVE_METRIC, TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.training.state import metrics_row

Status = Literal["InProgress", "Completed", "Stopped", "Failed"]

# SageMaker's longest name of a training job, and what the number and the digest take of it.
_LONGEST_NAME, _SUFFIX = 63, 14


@dataclass(slots=True, kw_only=True, eq=False)
class Trial:
    """A trial, changed while it trains.

    Attributes:
        number: from 0, in the order of the draws.
        texts: the hyperparameters that were drawn, as on the wire.
        arguments: all its hyperparameters.
        history: its rows of metrics, as ``train.py`` writes them.
        best_loss: the lowest loss of validation, of ``best_epoch``; None before there is one.
        head: the parameters of that epoch; None when nothing can come of them any more.
        started: unix seconds; ``ended`` likewise, None while it trains.
        why: the sentence that says why it failed, or was stopped.
    """

    number: int
    texts: Mapping[str, str]
    arguments: TrainingArguments
    status: Status = "InProgress"
    epochs: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float | None = None
    best_epoch: int = 0
    head: dict[str, Tensor] | None = None
    started: float = 0.0
    ended: float | None = None
    why: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the last epoch is done, or patience is."""
        patience = self.arguments.patience
        return self.epochs >= self.arguments.epochs or (
            0 < patience <= self.epochs - self.best_epoch
        )

    def book(
        self,
        train: dict[str, float | None],
        valid: dict[str, float | None],
        measured: Sequence[tuple[int, float, float | None]],
    ) -> bool:
        """Enter a complete epoch; return whether it is the best so far.

        Args:
            train: means over the training samples.
            valid: means over those of validation.
            measured: of both: samples, seconds, learning rate.
        """
        self.epochs += 1
        for split, means, each in zip(
            (TRAIN_CHANNEL, VALID_CHANNEL), (train, valid), measured, strict=True
        ):
            self.history.append(metrics_row(self.epochs, split, means, each))
        loss = valid["loss"] or 0.0
        if self.best_loss is not None and loss >= self.best_loss:
            return False
        self.best_loss, self.best_epoch = loss, self.epochs
        return True

    def end(self, status: Status, now: float, why: str = "") -> None:
        """Enter that the trial trains no more."""
        self.status, self.ended, self.why = status, now, why

    def name(self, job: str) -> str:
        """Return what the tuning job would have called its training job."""
        digest = hashlib.sha256(json.dumps(dict(self.texts), sort_keys=True).encode())
        cut = job[: _LONGEST_NAME - _SUFFIX].rstrip("-")
        return f"{cut}-{self.number + 1:03d}-{digest.hexdigest()[:8]}"

    def summary(self, job: str) -> dict[str, Any]:
        """Return the trial as SageMaker lists the training jobs of a tuning job."""
        objective = {"MetricName": OBJECTIVE_METRIC, "Value": self.best_loss}
        return {
            "TrainingJobName": self.name(job),
            "CreationTime": _iso(self.started),
            "TrainingStartTime": _iso(self.started),
            **({} if self.ended is None else {"TrainingEndTime": _iso(self.ended)}),
            "TrainingJobStatus": self.status,
            "TunedHyperParameters": dict(self.texts),
            **({"FailureReason": self.why} if self.status == "Failed" else {}),
            **(
                {}
                if self.best_loss is None
                else {"FinalHyperParameterTuningJobObjectiveMetric": objective}
            ),
            "ObjectiveStatus": "Failed" if self.best_loss is None else "Succeeded",
        }

    def document(self) -> dict[str, Any]:
        """Return what :meth:`of` makes the same trial of, without its head."""
        kept = [each.name for each in fields(self) if each.name not in ("arguments", "head")]
        return {name: getattr(self, name) for name in kept}

    @classmethod
    def of(cls, document: Mapping[str, Any], arguments: TrainingArguments) -> Trial:
        """Return the trial that a document was written of.

        Raises:
            TypeError: a member is unknown or missing.
        """
        return cls(arguments=arguments, **document)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
