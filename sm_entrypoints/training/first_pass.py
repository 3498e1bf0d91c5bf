"""Keep what enters the tail while the whole network runs, and let the tail learn from it then.

An instrumented training shows its whole network in its first epoch. With a frozen backbone the next
epochs would compute the same features again: they run the tail alone, on the same model object, so
every hook stays where it is. In float32 all epochs are those of a training on cached features, but
for the last bits that depend on the size of a batch; with bfloat16 the head of the first epoch is
computed in bfloat16 as well, and from the second on in float32.

With views (``views``) the first epoch shows one version of each image, and the others need all of
them: their features are taken from where they are kept, or computed, after that epoch.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sm_entrypoints.contract import TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.contract.sentences import counted
from sm_entrypoints.features.backbone import run_tail_alone, tail_of, without_hooks
from sm_entrypoints.images.batches import Batch, BatchOrder, ImageData, TensorData, make_loader
from sm_entrypoints.job.containment import Containment
from sm_entrypoints.job.processes import joined, total
from sm_entrypoints.training.feeds import features_on_device, memory_limit
from sm_entrypoints.training.state import Feed, Training

_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """The features of a split in its order, and which of them this process has seen."""

    features: Tensor
    seen: Tensor


class FirstPass:
    """The features of a training that enter its tail while the whole network runs.

    Rows are float32 on the CPU. They are given up, with one printed line, when they do not fit into
    memory; nothing here ends a training.

    Args:
        training: what learns; its feeds are of images.
    """

    def __init__(self, training: Training) -> None:
        self._training = training
        self._kept: dict[str, _Kept] = {}
        self._place: tuple[str, Tensor] | None = None
        self._misfit = self._resumed = False
        self._containment = Containment("keeping features", on_failure=self.close)
        first = next(tail_of(training.model).children())
        self._handle = first.register_forward_pre_hook(self._on_entry)
        if training.later_feeds is not None:
            self.close()

    def close(self) -> None:
        """Look at nothing any more, and let the features go."""
        self._handle.remove()
        self._kept.clear()

    def watched(self, split: str, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches; what enters the tail after each of them is kept as its features."""
        for batch in batches:
            self._place = (split, batch.indices)
            yield batch
        self._place = None

    def finish(self) -> Training | None:
        """Return the training that goes on with the tail alone; None when it cannot.

        What was not seen (the rows that a process leaves out of an epoch, or all that came before
        a resumed job) is computed now. Every process must call it.

        Raises:
            JobError: a bad image.
        """
        self._handle.remove()
        training, self._resumed = self._training, not self._kept
        if not self._agreed():
            return None
        feeds = self._completed_feeds() if training.later_feeds is None else self._later_feeds()
        if feeds is None:
            return None
        self._kept.clear()
        for feed in self._feeds().values():
            if isinstance(feed.data, ImageData):
                feed.data.forget_pixels()
        run_tail_alone(training.model)
        training.instrumentation.tail_alone()
        return replace(
            training,
            train=feeds[0],
            valid=feeds[1],
            # As on cached features: a head alone gains nothing from bfloat16.
            compute=replace(training.compute, dtype=torch.float32),
            keeps_features=False,
            later_feeds=None,
        )

    def features(self) -> dict[str, Tensor]:
        """Return the features of train and valid after the only epoch; empty if they are not kept.

        For one process. What was left out of the epoch is computed now.
        """
        self._handle.remove()
        if not self._kept:
            return {}
        found = self._containment.run(self._completed_feeds)
        feeds = dict(zip(self._feeds(), found or (), strict=False))
        kept = {s: f.data.inputs for s, f in feeds.items() if isinstance(f.data, TensorData)}
        self._kept.clear()
        return kept

    def sentence(self, epoch: int) -> str:
        """Say what happens from ``epoch`` on, as a line of the log."""
        last = self._training.arguments.epochs
        epochs = f"epoch {epoch} learns" if epoch == last else f"epochs {epoch} to {last} learn"
        if self._training.later_feeds is not None:
            return f"{epochs} from the features of all images and their views"
        if self._resumed:
            return f"{epochs} from the features of one more pass over the images"
        return f"epoch {epoch - 1} ran the whole network; {epochs} from its features"

    def _later_feeds(self) -> tuple[Feed, Feed] | None:
        training = self._training
        feeds = None if training.later_feeds is None else training.later_feeds()
        if feeds is None:
            training.environment.say(
                "the features of all images and their views do not fit into memory: every epoch "
                "runs the whole network"
            )
        return feeds

    def _completed_feeds(self) -> tuple[Feed, Feed] | None:
        feeds = []
        for split, feed in self._feeds().items():
            features = self._completed(split, feed)
            if features is None:
                return None
            data = TensorData(features, feed.data.labels)
            prepare = features_on_device(self._training.compute)
            feeds.append(Feed(data=data, prepare=prepare))
        train, valid = feeds
        return train, valid

    def _feeds(self) -> dict[str, Feed]:
        return {TRAIN_CHANNEL: self._training.train, VALID_CHANNEL: self._training.valid}

    def _agreed(self) -> bool:
        """Say whether no process has given up; every process gets the same answer."""
        given_up = float(self._misfit or self._containment.failure is not None)
        return float(total(torch.tensor(given_up))) == 0

    def _on_entry(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        place, self._place = self._place, None
        if place is not None and not self._misfit:
            self._containment.run(self._keep, *place, inputs[0])

    def _keep(self, split: str, rows: Tensor, entered: Tensor) -> None:
        if not self._kept:
            self._make_room(entered[0])
        if not self._misfit:
            kept = self._kept[split]
            kept.features[rows] = entered.detach().float().cpu()
            kept.seen[rows] = True

    def _make_room(self, row: Tensor) -> None:
        training = self._training
        counts = {split: len(feed.data) for split, feed in self._feeds().items()}
        size = 4 * row.numel() * sum(counts.values())
        if size > memory_limit(training.environment.world_size):
            self._misfit = True
            training.environment.say(
                f"the features ({size / 1e6:,.0f} MB) do not fit into memory: every epoch runs "
                "the whole network"
            )
            return
        for split, count in counts.items():
            self._kept[split] = _Kept(
                # Written at once: memory that grows all through an epoch looks like a leak.
                features=torch.full((count, *row.shape), torch.nan),
                seen=torch.zeros(count, dtype=torch.bool),
            )

    def _completed(self, split: str, feed: Feed) -> Tensor | None:
        """Return all features of a split, the same in every process; None when one gave up."""
        kept = self._kept.get(split)
        seen = torch.zeros(len(feed.data)) if kept is None else kept.seen.float()
        missing = np.flatnonzero(total(seen).numpy() == 0)
        environment = self._training.environment
        own = missing[environment.rank :: environment.world_size]
        if len(own):
            self._compute(split, feed, own)
        return _shared(self._kept[split]) if self._agreed() else None

    def _compute(self, split: str, feed: Feed, rows: NDArray[np.int64]) -> None:
        """Run the whole network over images that no process has seen; no observer hears of it."""
        training, began = self._training, time.perf_counter()
        order = _Rows(rows, _BATCH)
        loader = make_loader(feed.data, order, training.arguments.num_workers)
        first = next(tail_of(training.model).children())
        training.model.eval()
        with without_hooks(training.model), torch.no_grad(), training.compute.autocast():
            first.register_forward_pre_hook(self._on_entry)
            for batch in self.watched(split, loader):
                training.model(feed.prepare(batch.inputs))
        spent, computed = time.perf_counter() - began, counted(len(rows), f"{split} image")
        training.environment.say(f"computed the features of {computed} in {spent:.1f} s")


def _shared(kept: _Kept) -> Tensor:
    """Return the features that all processes have seen between them."""
    if not joined():
        return kept.features
    kept.features[~kept.seen] = 0.0
    times = total(kept.seen.float())
    return total(kept.features) / times.view(-1, *[1] * (kept.features.dim() - 1))


class _Rows(BatchOrder):
    """Some rows of a split, in batches, in their order."""

    def __init__(self, rows: NDArray[np.int64], batch_size: int) -> None:
        super().__init__(len(rows), batch_size)
        self._rows = rows

    def _batches(self) -> list[Any]:
        return [self._rows[batch] for batch in super()._batches()]
