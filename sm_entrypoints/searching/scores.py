"""Exact sums over samples of the scores that several heads give them, a column a head.

They are those of :mod:`sm_entrypoints.training.evaluation`: float64 sums of float32 losses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sm_entrypoints.training.evaluation import TOP5_CLASSES


@dataclass(slots=True)
class Sums:
    """Of each head: losses, right answers, labels among the best five; and the samples."""

    loss: Tensor
    correct: Tensor
    top5: Tensor
    samples: int

    @classmethod
    def zero(cls, heads: int) -> Sums:
        """Return the sums over no samples."""
        loss, correct, top5 = (torch.zeros(heads, dtype=torch.float64) for _ in range(3))
        return cls(loss, correct, top5, 0)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add samples: ``logits`` (samples, heads, classes) and their ``labels``."""
        count, heads, classes = logits.shape
        place = labels[:, None, None].expand(count, heads, 1)
        of_label = logits.gather(2, place)
        self.correct += (logits.argmax(2) == labels[:, None]).double().sum(0).cpu()
        if classes >= TOP5_CLASSES:
            self.top5 += _in_best_five(logits, of_label, labels).double().sum(0).cpu()
        losses = -logits.log_softmax(2).gather(2, place)[:, :, 0]
        self.loss += losses.double().sum(0).cpu()
        self.samples += count

    def means(self, head: int, classes: int) -> dict[str, float | None]:
        """Return loss, accuracy and top5_accuracy of a head (None with fewer than five classes)."""
        top5 = float(self.top5[head]) / self.samples if classes >= TOP5_CLASSES else None
        return {
            "loss": float(self.loss[head]) / self.samples,
            "accuracy": float(self.correct[head]) / self.samples,
            "top5_accuracy": top5,
        }


def _in_best_five(logits: Tensor, of_label: Tensor, labels: Tensor) -> Tensor:
    """Return whether the label is among the best five, shape (samples, heads).

    Where scores are equal, as after a ReLU, those count that ``topk`` takes first.
    """
    above, equal = (logits > of_label).sum(2), (logits == of_label).sum(2)
    inside = above < TOP5_CLASSES
    unclear = inside & (above + equal > TOP5_CLASSES)
    if unclear.any():
        best = logits[unclear].topk(TOP5_CLASSES, dim=1).indices
        truth = labels[:, None].expand_as(unclear)[unclear]
        inside[unclear] = (best == truth[:, None]).any(1)
    return inside
