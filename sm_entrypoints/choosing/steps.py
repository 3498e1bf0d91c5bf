"""How long heads learn from a part of the pictures: as many steps as from all of them."""

from __future__ import annotations

import math
from dataclasses import replace

from sm_entrypoints.contract.arguments import TrainingArguments

# More steps than this are not made up for: a head has learned what there is by then.
ENOUGH_STEPS = 1000


def as_many_steps(arguments: TrainingArguments, *, part: int, whole: int) -> TrainingArguments:
    """Return ``arguments`` with epochs over ``part`` pictures that take the steps of ``whole``.

    The same epochs over fewer pictures would be fewer steps, after which networks stand in another
    order. Warm-up and patience, which are counted in epochs, grow likewise.
    """
    steps, wanted = (math.ceil(count / arguments.batch_size) for count in (part, whole))
    least = min(arguments.epochs * wanted, max(ENOUGH_STEPS, arguments.epochs * steps))
    epochs = round(least / steps)
    factor = epochs / arguments.epochs
    return replace(
        arguments,
        epochs=epochs,
        warmup_epochs=arguments.warmup_epochs * factor,
        patience=math.ceil(arguments.patience * factor),
    )
