"""Time two variants of a training against each other in interleaved blocks: ABBAABBA…

Neighbours make a pair, and the result comes from the pairs' ratios: a drift of the machine affects
both members of a pair, and A goes first as often as B. Neighbours of the same variant (the AA and
BB between) are the control: apart from noise, their ratio is 1.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sm_entrypoints.comparison.intervals import Estimate, median_estimate
from sm_entrypoints.comparison.lane import Block, Lane

# A is as trained, B is changed.
VARIANTS = ("A", "B")
# The longer block of a pair takes at least this, and at most the second for the other's sake.
_BLOCK_SECONDS, _MOST_BLOCK_SECONDS = 1.0, 3.0
# Precise enough: 1%, or a quarter of the effect (natural logarithms of the ratio).
_PRECISE, _PRECISE_SHARE = 0.01, 0.25
# The least pairs may take more than the time that was given for all, but not without end.
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """A block, whose it was, and of which pair (from 0)."""

    variant: str
    pair: int
    block: Block

    def document(self) -> dict[str, Any]:
        """Return the block as JSON values."""
        return {
            "variant": self.variant,
            "pair": self.pair,
            "images": self.block.images,
            "seconds": self.block.seconds,
            "seconds_per_image": self.block.seconds_per_image,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What was measured; mappings are by variant, seconds everywhere.

    ``one_time`` is paid once a job (features, worker processes, first steps), ``epoch_start`` once
    an epoch before the first step, ``validation`` once an epoch after the last.
    """

    timings: tuple[Timing, ...]
    images: int
    one_time: dict[str, float] = field(default_factory=dict)
    epoch_start: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)

    @property
    def pairs(self) -> int:
        """How many complete pairs there are."""
        return len(self.timings) // 2

    def ratio(self) -> Estimate:
        """Return the time of B divided by that of A, for an image."""
        return median_estimate(_pair_ratios(self.timings))

    def control(self) -> Estimate | None:
        """Return the time of a variant divided by its own time just before; None without pairs."""
        ratios = _control_ratios(self.timings)
        return median_estimate(ratios) if ratios else None

    def seconds_per_image(self, variant: str) -> float:
        """Return the median over the blocks of a variant."""
        return _per_image([t.block for t in self.timings if t.variant == variant])

    def job_seconds(self, variant: str, epochs: int) -> float:
        """Return the seconds that a job of ``epochs`` epochs spends on what was measured."""
        epoch = self.images * self.seconds_per_image(variant)
        epoch += self.epoch_start[variant] + self.validation[variant]
        return self.one_time[variant] + epochs * epoch

    def document(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        control = self.control()
        return {
            "blocks": [timing.document() for timing in self.timings],
            "pairs": self.pairs,
            "seconds_per_image": {name: self.seconds_per_image(name) for name in VARIANTS},
            "ratio": self.ratio().document(),
            "control": control and control.document(),
            "one_time_seconds": self.one_time,
            "epoch_start_seconds": self.epoch_start,
            "validation_seconds": self.validation,
        }


def _per_image(blocks: list[Block]) -> float:
    return statistics.median(block.seconds_per_image for block in blocks)


def _pair_ratios(timings: tuple[Timing, ...]) -> list[float]:
    ratios = []
    for first, second in zip(timings[::2], timings[1::2], strict=False):
        by = {timing.variant: timing.block.seconds_per_image for timing in (first, second)}
        ratios.append(by["B"] / by["A"])
    return ratios


def _control_ratios(timings: tuple[Timing, ...]) -> list[float]:
    return [
        after.block.seconds_per_image / before.block.seconds_per_image
        for before, after in zip(timings[1::2], timings[2::2], strict=False)
        if before.variant == after.variant
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to end: at least ``pairs``, about ``seconds``; at once when ``stopped`` says so."""

    pairs: int
    seconds: float
    stopped: Callable[[], bool] = lambda: False


def compare_speed(
    lanes: dict[str, Lane],
    limits: Limits,
    *,
    setup: dict[str, float],
    said: Callable[[float, Estimate], None] = lambda _share, _ratio: None,
) -> Speed | None:
    """Time the lanes, ``A`` and ``B``, against each other; None when stopped before one pair.

    Args:
        lanes: the variants; nothing of them has run yet. limits: when to end. setup: seconds that
        making each variant took. said: called after each pair with the share of the time used and
        the ratio so far.
    """
    started = time.perf_counter()
    # B first: what only the very first steps of a process pay counts against the change.
    first = {name: lanes[name].block(1) for name in reversed(VARIANTS)}
    images = _images_of_a_block(first, limits)
    timings: list[Timing] = []
    while not limits.stopped():
        pair = len(timings) // 2
        for name in VARIANTS if pair % 2 == 0 else reversed(VARIANTS):
            block = lanes[name].block(images)
            timings.append(Timing(variant=name, pair=pair, block=block))
        ratio, spent = median_estimate(_pair_ratios(tuple(timings))), time.perf_counter() - started
        said(min(1.0, max(spent / limits.seconds, 0.0)), ratio)
        if _is_enough(pair + 1, ratio, spent, limits):
            break
    if not timings:
        return None
    return _with_costs(lanes, first, setup, tuple(timings))


def _images_of_a_block(first: dict[str, Block], limits: Limits) -> int:
    """Return how many images make a block long enough for both and short enough for the time."""
    slow, fast = sorted((block.seconds_per_image for block in first.values()), reverse=True)
    wanted = max(_BLOCK_SECONDS / slow, min(_BLOCK_SECONDS / fast, _MOST_BLOCK_SECONDS / slow))
    # Room for the least pairs and a third more: an estimate of two steps is a rough one.
    affordable = limits.seconds / (slow + fast) / (limits.pairs * 4 / 3)
    return max(1, int(min(wanted, affordable)))


def _is_enough(pairs: int, ratio: Estimate, spent: float, limits: Limits) -> bool:
    if pairs < limits.pairs:
        return spent > _PATIENCE * limits.seconds
    half = (math.log(ratio.high) - math.log(ratio.low)) / 2
    precise = half <= max(_PRECISE, _PRECISE_SHARE * abs(math.log(ratio.value)))
    return precise or spent >= limits.seconds


def _with_costs(
    lanes: dict[str, Lane],
    first: dict[str, Block],
    setup: dict[str, float],
    timings: tuple[Timing, ...],
) -> Speed:
    one_time, epoch_start, validation = {}, {}, {}
    for name in VARIANTS:
        blocks = [timing.block for timing in timings if timing.variant == name]
        steady = _per_image(blocks)
        epoch_start[name] = statistics.median(_excess(block, steady) for block in blocks)
        one_time[name] = setup[name] + max(0.0, _excess(first[name], steady) - epoch_start[name])
        lanes[name].validate()  # its worker processes start
        validation[name] = lanes[name].validate()[1]
    return Speed(
        timings=timings,
        images=lanes["A"].images,
        one_time=one_time,
        epoch_start=epoch_start,
        validation=validation,
    )


def _excess(block: Block, steady: float) -> float:
    """Return the seconds by which a block's untimed start was slower than its steady work."""
    return max(0.0, block.lead_seconds - block.lead_images * steady)
