"""How good a model is: exact means over samples, and every prediction behind them.

Sums are float64 over single samples in the order of the split, so a result depends neither on the
batch size nor on the number of processes (beyond the last bits of the network itself).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sm_entrypoints.images.batches import Batch
from sm_entrypoints.instrumentation.session import Instrumentation
from sm_entrypoints.job.processes import total

TOP5_CLASSES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One row a sample, in the order of the split; ``loss`` is plain cross entropy in nats."""

    label: Tensor
    predicted: Tensor
    probability: Tensor
    label_probability: Tensor
    loss: Tensor
    in_top5: Tensor
    class_count: int

    @property
    def correct(self) -> Tensor:
        """Whether the class with the highest score is the label."""
        return self.predicted == self.label

    def means(self) -> dict[str, float | None]:
        """Return loss, accuracy and top5_accuracy (None with fewer than five classes)."""
        count = len(self.label)
        top5 = float(self.in_top5.sum()) / count if self.class_count >= TOP5_CLASSES else None
        return {
            "loss": float(self.loss.sum()) / count,
            "accuracy": float(self.correct.sum()) / count,
            "top5_accuracy": top5,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How batches are scored: ``prepare`` turns a batch's inputs into those of ``network``.

    ``loss_function`` is called for observers (a debugger's hook); scores do not depend on it.
    """

    network: nn.Module
    class_count: int
    prepare: Callable[[Tensor], Tensor]
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext
    loss_function: nn.Module = field(default_factory=nn.CrossEntropyLoss)
    instrumentation: Instrumentation = field(default_factory=Instrumentation)

    def score(self, batches: Iterable[Batch], labels: Tensor) -> Scores:
        """Score a split whose labels are ``labels``; every process must call it.

        Each process gives its share of the batches and gets the whole result. The network is put
        into evaluation mode. Each batch is a step of the instrumentation.
        """
        self.network.eval()
        rows = torch.zeros((len(labels), 5), dtype=torch.float64)
        iterator = iter(batches)
        while True:
            with self.instrumentation.phase("data_wait"):
                batch = next(iterator, None)
            if batch is None:
                break
            rows[batch.indices] = self._step(batch).cpu()
        # The shares are disjoint, other rows are zero.
        loss, predicted, probability, label_probability, in_top5 = total(rows).unbind(1)
        return Scores(
            label=labels,
            predicted=predicted.to(torch.int64),
            probability=probability,
            label_probability=label_probability,
            loss=loss,
            in_top5=in_top5,
            class_count=self.class_count,
        )

    def _step(self, batch: Batch) -> Tensor:
        watch, truth = self.instrumentation, batch.labels
        watch.batch(batch.making, len(truth))
        with watch.phase("transfer"):
            inputs = self.prepare(batch.inputs)
            truth = truth.to(inputs.device)
        # Not inference_mode: a hook may want to look at these tensors.
        with watch.phase("forward"), torch.no_grad(), self.autocast():
            outputs = self.network(inputs)
            loss = self.loss_function(outputs.float(), truth)
        watch.step(len(truth), loss)
        return _rows(outputs.float(), truth)


def _rows(logits: Tensor, truth: Tensor) -> Tensor:
    probabilities = logits.double().softmax(1)
    probability, predicted = probabilities.max(1)
    best = logits.topk(min(TOP5_CLASSES, logits.shape[1]), dim=1).indices
    return torch.stack(
        [
            cross_entropy(logits, truth, reduction="none").double(),
            predicted.double(),
            probability,
            probabilities.gather(1, truth[:, None])[:, 0],
            (best == truth[:, None]).any(1).double(),
        ],
        dim=1,
    )


def confusion_matrix(scores: Scores) -> Tensor:
    """Return counts, shape (classes, classes): rows are the truth, columns the prediction."""
    cells = scores.label * scores.class_count + scores.predicted
    counts = torch.bincount(cells, minlength=scores.class_count**2)
    return counts.view(scores.class_count, scores.class_count)


def report(split: str, scores: Scores, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the document of ``evaluation.json``.

    A precision or recall without any sample to divide by is 0, as in scikit-learn.
    """
    confusion = confusion_matrix(scores)
    hits, support = confusion.diag(), confusion.sum(1)
    precision = _ratio(hits, confusion.sum(0))
    recall = _ratio(hits, support)
    f1 = _ratio(2 * precision * recall, precision + recall)
    per_class = [
        {
            "label": label,
            "precision": float(precision[index]),
            "recall": float(recall[index]),
            "f1": float(f1[index]),
            "support": int(support[index]),
        }
        for index, label in enumerate(classes)
    ]
    return {
        "split": split,
        **scores.means(),
        "samples": len(scores.label),
        "classes": list(classes),
        "confusion": confusion.tolist(),
        "per_class": per_class,
    }


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    part, whole = part.double(), whole.double()
    return torch.where(whole > 0, part / whole.clamp(min=1e-300), torch.zeros_like(part))
