"""Which trials of a generation end early: successive halving between its epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sm_entrypoints.contract.search import Pruning
from sm_entrypoints.searching.trial import Trial

# Where trials are compared: after so many epochs, and after twice as many, and so on.
_FIRST_RUNG = 3
# Below this, a trial is over about as soon as it could be told that it is poor.
_WORTH_EPOCHS = 10


def falling_behind(going: Sequence[Trial], epoch: int, pruning: Pruning) -> list[Trial]:
    """Return the worse half of the trials that are going on, at the epochs where they compare.

    Depends on losses and numbers only. A trial that is about to end is left alone.
    """
    long = [trial for trial in going if trial.arguments.epochs - epoch >= _FIRST_RUNG]
    if pruning == "auto":
        long = [trial for trial in long if trial.arguments.epochs >= _WORTH_EPOCHS]
    if pruning == "off" or not _is_rung(epoch) or len(long) < 2:
        return []
    ranked = sorted(long, key=lambda trial: (trial.best_loss or 0.0, trial.number))
    return ranked[math.ceil(len(ranked) / 2) :]


def _is_rung(epoch: int) -> bool:
    rungs, rest = divmod(epoch, _FIRST_RUNG)
    return not rest and rungs & (rungs - 1) == 0
