"""Train the heads of a generation together, each as ``train.py`` would train it alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

import torch

from sm_entrypoints.contract.search import Pruning
from sm_entrypoints.models.threads import threads
from sm_entrypoints.searching.first_heads import FirstHeads
from sm_entrypoints.searching.lanes import Lanes, lanes
from sm_entrypoints.searching.pack import Pack
from sm_entrypoints.searching.pruning import falling_behind
from sm_entrypoints.searching.rows import Rows
from sm_entrypoints.searching.scores import Sums
from sm_entrypoints.searching.shared_features import SharedFeatures
from sm_entrypoints.searching.stream import Block, Stream
from sm_entrypoints.searching.trial import Trial

# Heads are packed until their parameters, gradients and running means take so much: they are gone
# through in every step, and a processor's last cache is about twice as large.
_PACK_BYTES = 6 << 20
# Trials train at the same time until they take so much; the others wait.
_WAVE_BYTES = 2 << 30
_TENSORS = 4
# Measured on two cores: heads of 13,000 numbers step 1.5 to 2.4 times as fast by one thread, heads
# of 68,000 numbers 1.4 times as fast by two.
_SMALL_HEAD_BYTES, _SMALL_BATCH = 1 << 17, 128


class Interrupted(Exception):
    """Raised when the job was asked to stop; the trials hold what they have learned so far."""


@dataclass(slots=True)
class _Group:
    """A pack, the batches that it reads, and the trial of each of its rows."""

    pack: Pack
    stream: Stream
    trials: list[Trial]
    seconds: float = 0.0
    going: list[Trial] = field(default_factory=list)


class Generation:
    """Trials that are trained together.

    Args:
        trials: with all their hyperparameters; changed while they train.
        shared: what they read.
        first: the heads that they start from.
        pruning: whether those that fall behind end early.
        stopped: whether the job was asked to stop.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        *,
        shared: SharedFeatures,
        first: FirstHeads,
        pruning: Pruning,
        stopped: Callable[[], bool],
    ) -> None:
        self._trials = list(trials)
        self._shared = shared
        self._first = first
        self._pruning = pruning
        self._stopped = stopped
        self._small = first.bytes < _SMALL_HEAD_BYTES

    def run(self, ended: Callable[[Trial], None]) -> None:
        """Train all trials to their ends, and tell ``ended`` each of them then.

        Raises:
            Interrupted: the job was asked to stop.
        """
        size = _TENSORS * self._first.bytes
        with lanes(self._lanes()) as side_by_side:
            for wave in _cut(self._trials, max(1, _WAVE_BYTES // size)):
                self._run_wave(wave, ended, side_by_side)

    def _lanes(self) -> int:
        """Return how many packs may learn at a time: small steps are too short to share cores."""
        alone = self._small or self._shared.plan.way == "apart"
        on_cpu = self._shared.compute.device.type == "cpu"
        return torch.get_num_threads() if on_cpu and not alone else 1

    def _run_wave(
        self, wave: list[Trial], ended: Callable[[Trial], None], side_by_side: Lanes
    ) -> None:
        for trial in wave:
            trial.started = time.time()
        groups = list(self._groups(wave, side_by_side.count))
        epoch = 0
        while groups:
            epoch += 1
            self._train(groups, epoch, side_by_side)
            for group in groups:
                self._book(group, epoch)
            going = [trial for group in groups for trial in group.going]
            for trial in falling_behind(going, epoch, self._pruning):
                trial.end("Stopped", time.time(), f"fell behind by epoch {epoch}")
            trained = [trial for group in groups for trial in group.trials]
            for trial in wave:
                if trial.status != "InProgress" and trial in trained:
                    ended(trial)
            groups = [kept for group in groups if (kept := self._kept(group))]

    def _groups(self, wave: list[Trial], count: int) -> Iterator[_Group]:
        """Put trials that read the same batches together, neighbours with the same optimiser.

        As many packs as leave none of ``count`` lanes empty.
        """
        most = max(1, _PACK_BYTES // (_TENSORS * self._first.bytes))

        def batches(trial: Trial) -> tuple[int, int]:
            return trial.arguments.seed, trial.arguments.batch_size

        by_batches = sorted(wave, key=lambda t: (*batches(t), t.arguments.optimizer, t.number))
        for (seed, batch_size), trials in groupby(by_batches, key=batches):
            stream = Stream(self._shared, seed=seed, batch_size=batch_size)
            for part in _cut(list(trials), most, times=count):
                arguments = [trial.arguments for trial in part]
                values = [self._first.of(each.seed) for each in arguments]
                rows = Rows.start(values, self._first.heads, arguments)
                pack = Pack(rows, self._shared.plan, self._first.layout)
                yield _Group(pack, stream, part)

    def _train(self, groups: list[_Group], epoch: int, side_by_side: Lanes) -> None:
        for group in groups:
            group.pack.sums, group.seconds = Sums.zero(len(group.trials)), 0.0
        streams = {id(group.stream): group.stream for group in groups}
        for stream in streams.values():
            readers = [group for group in groups if group.stream is stream]
            small = self._small and stream.batch_size <= _SMALL_BATCH
            for block in stream.epoch(epoch):
                with threads(1 if small else torch.get_num_threads()):
                    side_by_side.run([partial(self._learn, each, block) for each in readers])
            for group in readers:
                group.seconds /= min(side_by_side.count, len(readers))

    def _learn(self, group: _Group, block: Block) -> None:
        if self._stopped():
            raise Interrupted
        started = time.perf_counter()
        group.pack.learn(block, group.stream.steps_per_epoch)
        group.seconds += time.perf_counter() - started

    def _book(self, group: _Group, epoch: int) -> None:
        """Score a group, and enter the epoch into each of its trials."""
        pack, valid, started = group.pack, self._shared.valid, time.perf_counter()
        scored = pack.score(valid.inputs, valid.labels)
        # A trial's seconds are its share of those of its pack.
        scoring, training = (time.perf_counter() - started) / len(pack), group.seconds / len(pack)
        classes, group.going, now = self._first.layout.classes, [], time.time()
        for row, trial in enumerate(group.trials):
            train = {**pack.sums.means(row, classes), "top5_accuracy": None}
            means = scored.means(row, classes)
            why = _diverged(trial, epoch, train["loss"], means["loss"])
            if why:
                # As train.py does: what was learned before is delivered.
                trial.end("Completed" if trial.best_epoch else "Failed", now, why)
                continue
            rate = pack.rate(row, pack.rows.steps - 1, group.stream.steps_per_epoch)
            counted = ((pack.sums.samples, training, rate), (scored.samples, scoring, None))
            if trial.book(train, means, counted):
                trial.head = pack.rows.head(row)
            if trial.is_over:
                trial.end("Completed", now)
            else:
                group.going.append(trial)

    def _kept(self, group: _Group) -> _Group | None:
        rows = [row for row, each in enumerate(group.trials) if each.status == "InProgress"]
        if not rows:
            return None
        if len(rows) == len(group.trials):
            return group
        return _Group(group.pack.kept(rows), group.stream, [group.trials[row] for row in rows])


def _cut(trials: list[Trial], most: int, *, times: int = 1) -> Iterator[list[Trial]]:
    """Yield parts of trials that are as equal as can be, with at most so many each.

    There are a multiple of ``times`` of them, if there are so many trials.
    """
    parts = min(len(trials), times * math.ceil(len(trials) / most / times))
    for part in range(parts):
        yield trials[part * len(trials) // parts : (part + 1) * len(trials) // parts]


def _diverged(trial: Trial, epoch: int, train: float | None, valid: float | None) -> str:
    advice = f"lower the learning rate (lr={trial.arguments.lr})"
    if train is not None and not math.isfinite(train):
        return f"the training loss is {train} in epoch {epoch}: {advice}"
    if valid is not None and not math.isfinite(valid):
        return f"the validation loss is {valid} in epoch {epoch}: {advice}"
    return ""
