"""Compare what two variants of a training learn: short trainings from the same seeds.

Each seed is trained with both variants, with A first and B first in turn. The same seed means the
same order of images and, where the networks are alike, the same initial weights, so the difference
within a seed is the result.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from sm_entrypoints.comparison.intervals import Estimate, mean_estimate
from sm_entrypoints.comparison.speed import VARIANTS
from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.images.channels import Split, Splits
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest
from sm_entrypoints.training.feeds import same_data
from sm_entrypoints.training.loop import fit
from sm_entrypoints.training.preparation import Prepared, prepare

LEAST_SEEDS, MOST_SEEDS = 3, 8
_LEAST_EPOCHS = 2
# A difference below this share of the loss does not matter, however sure it is.
LEAST_SHARE = 0.005


class TooSlow(JobError):
    """Raised when not even the least short trainings fit into the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One short training; ``loss`` is its best validation loss, infinite when it diverged."""

    variant: str
    seed: int
    loss: float
    epochs: int
    seconds: float

    def document(self) -> dict[str, Any]:
        """Return the run as JSON values; the loss of a diverged one is None."""
        return {**asdict(self), "loss": self.loss if math.isfinite(self.loss) else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The runs of every complete seed; ``images`` were trained on in each epoch.

    ``scale``: how many times as long as its short training a variant's whole training takes.
    """

    runs: tuple[Run, ...]
    images: int
    scale: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(VARIANTS, 1.0))

    def seconds_ratio(self) -> Estimate:
        """Return the time of B divided by that of A, within a seed."""
        return mean_estimate(
            [b / a for a, b in zip(self._seconds("A"), self._seconds("B"), strict=True)]
        )

    def job_seconds(self, variant: str) -> float:
        """Return the seconds of a whole training, as far as the short ones tell."""
        return statistics.fmean(self._seconds(variant))

    def _seconds(self, variant: str) -> list[float]:
        runs = sorted(self.runs, key=lambda run: run.seed)
        return [self.scale[variant] * run.seconds for run in runs if run.variant == variant]

    def losses(self, variant: str) -> list[float]:
        """Return the losses of a variant in the order of the seeds."""
        runs = sorted(self.runs, key=lambda run: run.seed)
        return [run.loss for run in runs if run.variant == variant]

    def diverged(self, variant: str) -> int:
        """Return how many runs of a variant diverged."""
        return sum(not math.isfinite(loss) for loss in self.losses(variant))

    def difference(self) -> Estimate | None:
        """Return the loss of B minus that of A, within a seed; None when a run diverged."""
        differences = self._differences()
        return mean_estimate(differences) if all(map(math.isfinite, differences)) else None

    def is_worse(self) -> bool:
        """Say whether B learns less than A, beyond what another seed would change."""
        if self.diverged("B") or self.diverged("A"):
            return self.diverged("B") > self.diverged("A")
        differences, estimate = self._differences(), mean_estimate(self._differences())
        if estimate.value < self._least():
            return False
        # Three seeds give a wide interval: all of them against it, by more than their spread, will
        # do. A good change that is refused costs less than a bad one that is kept.
        spread = statistics.stdev(self.losses("A")) if len(differences) > 1 else math.inf
        return estimate.low > 0 or (min(differences) > 0 and estimate.value > spread)

    def is_better(self) -> bool:
        """Say whether B learns more than A: the 95% interval of the difference is below zero."""
        if self.diverged("B") or self.diverged("A"):
            return self.diverged("B") == 0 and self.diverged("A") == len(self.losses("A"))
        estimate = mean_estimate(self._differences())
        return estimate.high < 0 and -estimate.value > self._least()

    def _least(self) -> float:
        return LEAST_SHARE * statistics.fmean(self.losses("A"))

    def _differences(self) -> list[float]:
        return [b - a for a, b in zip(self.losses("A"), self.losses("B"), strict=True)]

    def document(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        difference = self.difference()
        return {
            "runs": [run.document() for run in self.runs],
            "images": self.images,
            "mean_loss": {name: _mean(self.losses(name)) for name in VARIANTS},
            "spread": {name: _spread(self.losses(name)) for name in VARIANTS},
            "difference": difference and difference.document(),
        }


def _mean(losses: list[float]) -> float | None:
    return statistics.fmean(losses) if all(map(math.isfinite, losses)) else None


def _spread(losses: list[float]) -> float | None:
    return statistics.stdev(losses) if all(map(math.isfinite, losses)) and losses[1:] else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """What every short training needs, and when to end.

    ``seconds`` are for all trainings together; ``threads`` is for variants that choose none;
    ``scale`` as in :class:`Quality`. ``made`` are trainings whose images or features may be used
    again.
    """

    environment: Environment
    splits: Splits
    stop: StopRequest
    seconds: float
    threads: int
    scale: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(VARIANTS, 1.0))
    made: Mapping[str, Prepared] = field(default_factory=dict)


def shortened(
    variants: dict[str, TrainingArguments],
    per_image: dict[str, float],
    splits: Splits,
    seconds: float,
) -> tuple[dict[str, TrainingArguments], Splits]:
    """Return variants and splits that three seeds can be trained with in ``seconds``.

    First both get fewer epochs by the same factor, two at least, unless their number is what
    differs; then they get fewer images, of every class.

    Raises:
        TooSlow: then a class would have less than two images.
    """
    count = len(splits.train) + len(splits.valid)

    def share(chosen: dict[str, TrainingArguments]) -> float:
        epochs = sum(chosen[name].epochs * per_image[name] for name in VARIANTS)
        return seconds / (LEAST_SEEDS * count * epochs)

    left = share(variants)
    if left < 1 and _same_length(variants):
        epochs = max(min(_LEAST_EPOCHS, variants["A"].epochs), int(left * variants["A"].epochs))
        variants = {name: replace(each, epochs=epochs) for name, each in variants.items()}
        left = share(variants)
    if left >= 1:
        return variants, splits
    return variants, Splits(
        classes=splits.classes,
        train=_part(splits.train, left),
        valid=_part(splits.valid, left),
        test=None,
    )


def _same_length(variants: Mapping[str, TrainingArguments]) -> bool:
    a, b = (variants[name] for name in VARIANTS)
    return (a.epochs, a.patience) == (b.epochs, b.patience)


def _part(split: Split, share: float) -> Split:
    """Return the first ``share`` of each class."""
    kept: list[int] = []
    for label in sorted(set(split.labels)):
        places = [place for place, each in enumerate(split.labels) if each == label]
        count = int(share * len(places))
        if count < min(2, len(places)):
            raise TooSlow(
                f"the trainings are too slow for the time: {share:.1%} of the images of "
                f"{split.name!r} could be used, fewer than two per class; give more `seconds`"
            )
        kept += places[:count]
    return split.part(sorted(kept))


def compare_quality(
    variants: dict[str, TrainingArguments],
    bench: Workbench,
    said: Callable[[float], None] = lambda _share: None,
) -> Quality | None:
    """Train both variants from three seeds, and from more (up to eight) while there is time.

    ``said`` is called with the share of the time used. None when stopped before one seed was
    complete.

    Raises:
        JobError: a variant cannot be trained.
    """
    started, runs = time.perf_counter(), list[Run]()
    made = dict(bench.made)
    for seed in range(MOST_SEEDS):
        order = VARIANTS if seed % 2 == 0 else tuple(reversed(VARIANTS))
        both = [_train(name, variants, seed, bench, made) for name in order]
        if bench.stop.agreed():
            break
        runs += both
        spent = time.perf_counter() - started
        said(min(1.0, max(spent / bench.seconds, (seed + 1) / MOST_SEEDS)))
        # One seed more must fit as well.
        if seed + 1 >= LEAST_SEEDS and spent * (seed + 2) / (seed + 1) > bench.seconds:
            break
    if not runs:
        return None
    return Quality(runs=tuple(runs), images=len(bench.splits.train), scale=bench.scale)


def _train(
    name: str,
    variants: dict[str, TrainingArguments],
    seed: int,
    bench: Workbench,
    made: dict[str, Prepared],
) -> Run:
    arguments = replace(variants[name], seed=variants[name].seed + seed)
    torch.set_num_threads(arguments.threads or bench.threads)
    like = next((p for p in made.values() if same_data(p.training.arguments, arguments)), None)
    prepared = prepare(arguments, bench.environment, bench.splits, bench.stop, like=like)
    made.setdefault(name, prepared)
    started, outcome = time.perf_counter(), fit(prepared.training)
    best = outcome.progress.best_loss
    return Run(
        variant=name,
        seed=arguments.seed,
        loss=math.inf if best is None or outcome.stopped == "diverged" else best,
        epochs=outcome.progress.epochs,
        seconds=time.perf_counter() - started,
    )
