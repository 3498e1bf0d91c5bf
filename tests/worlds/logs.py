"""Lines of training logs: what ours look like, and two of public notebooks."""

from __future__ import annotations

from collections.abc import Sequence

from sm_entrypoints import contract

NOTEBOOK_ACCURACY = "Testing Accuracy: 412/836 = 100%"
NOTEBOOK_LOSS = "Testing Loss: 14.0000, acc 0.0000"


def our_log(losses: Sequence[float], accuracy: float = 0.75) -> str:
    """Return the log of a job of ours: a line an epoch, and one with the test's metrics."""
    lines = ["starting, 117 images"]
    for epoch, loss in enumerate(losses, 1):
        values = {"epoch": epoch, "train:loss": loss * 0.91, "train:accuracy": accuracy}
        values |= {"valid:loss": loss, "valid:accuracy": accuracy, "epoch:seconds": 1.5}
        lines.append(contract.format_metrics(values))
    best = {"epoch": 1, "valid:loss": min(losses), "test:loss": loss, "test:accuracy": accuracy}
    return "\n".join([*lines, contract.format_metrics(best)])
