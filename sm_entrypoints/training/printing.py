"""What a training prints while it runs: metrics of epochs, progress within one."""

from __future__ import annotations

import time

from torch import Tensor

from sm_entrypoints.contract import format_metrics

_PROGRESS_SECONDS = 10.0
Means = dict[str, float | None]


def print_epoch(epoch: int, train: Means, valid: Means, seconds: float) -> None:
    """Print the metrics of an epoch that took ``seconds``, in the metric contract."""
    values = {f"train:{name}": train[name] for name in ("loss", "accuracy")}
    values |= {f"valid:{name}": value for name, value in valid.items()}
    measured = {name: value for name, value in values.items() if value is not None}
    print(format_metrics({"epoch": epoch, **measured, "epoch:seconds": seconds}), flush=True)


class ProgressLines:
    """Prints a line of progress every ten seconds."""

    def __init__(self, *, epochs: int, steps: int) -> None:
        self._epochs, self._steps = epochs, steps
        self._said = time.monotonic()

    def say(self, epoch: int, step: int, totals: Tensor) -> None:
        """Print where the training is, if it is time; ``totals``: loss, correct, samples."""
        now = time.monotonic()
        if now - self._said < _PROGRESS_SECONDS:
            return
        self._said = now
        loss, correct, samples = totals.tolist()
        print(
            f"epoch {epoch}/{self._epochs} step {step}/{self._steps} loss {loss / samples:.4f} "
            f"accuracy {correct / samples:.4f}",
            flush=True,
        )
