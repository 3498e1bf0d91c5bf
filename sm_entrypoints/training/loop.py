"""The training loop: epochs, validation, checkpoints, early stopping.

Everything random in an epoch starts from the seed and the epoch's number, so a resumed training
gives the same numbers as an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sm_entrypoints.contract import TAIL_ALONE, TRAIN_CHANNEL, VALID_CHANNEL, WHOLE_NETWORK
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.features.backbone import Tail, run_whole_network
from sm_entrypoints.images.batches import Batch, BatchOrder, make_loader
from sm_entrypoints.job.processes import StopReason, share_buffers, total, wrap
from sm_entrypoints.job.random_state import RandomState
from sm_entrypoints.models.model import load_tensors
from sm_entrypoints.training.checkpoint import (
    Progress,
    optimizer_tensors,
    restore_optimizer,
    with_prefix,
)
from sm_entrypoints.training.evaluation import Scores
from sm_entrypoints.training.first_pass import FirstPass
from sm_entrypoints.training.network import set_training
from sm_entrypoints.training.optimisation import rate_factor
from sm_entrypoints.training.printing import Means, ProgressLines, print_epoch
from sm_entrypoints.training.state import (
    Outcome,
    Pace,
    Stopped,
    Training,
    learning_tensors,
    metrics_row,
)
from sm_entrypoints.training.step import learn, seed_dropout, validate, validation_loader


def fit(training: Training, *, on_features: Callable[[], None] = lambda: None) -> Outcome:
    """Train until the last epoch, early stopping, SIGTERM or a rule, from the newest checkpoint.

    Args:
        training: what learns, and from what.
        on_features: called when the tail alone goes on, after an epoch of the whole network.

    Raises:
        JobError: a bad image, or a checkpoint of another training or that cannot be written.
    """
    return _Loop(training, on_features).run()


class _Loop:
    """The state of one :func:`fit`."""

    def __init__(self, training: Training, on_features: Callable[[], None]) -> None:
        self.training = training
        self.on_features = on_features
        arguments, environment = training.arguments, training.environment
        shard = (environment.rank, environment.world_size)
        count = len(training.train.data)
        self.order = BatchOrder(count, arguments.batch_size, seed=arguments.seed, shard=shard)
        self.steps_per_epoch = len(self.order)
        if not self.steps_per_epoch:
            raise JobError(
                f"{count} training images are too few for {environment.world_size} processes"
            )
        self.make_loaders()
        # A single epoch has no use for them, but one process tells what they say of the pictures.
        used = arguments.epochs > 1 or environment.world_size == 1
        wanted = training.keeps_features and used
        self.first_pass = FirstPass(training) if wanted else None
        self.features_from = 1 if isinstance(training.network, Tail) else None
        self.stepped = wrap(training.network)
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.validated: Scores | None = None
        self.random_state: RandomState | None = None
        self.failure: str | None = None
        self.pace = Pace()
        self.sound_steps = 0
        self.lines = ProgressLines(epochs=arguments.epochs, steps=self.steps_per_epoch)

    def run(self) -> Outcome:
        self.resume()
        epochs = self.training.arguments.epochs - self.progress.epochs
        if self.first_pass is not None and not self.progress.epochs:
            epochs = 1  # of the whole network, which is what the profiled steps are to show
        self.training.instrumentation.schedule(self.steps_per_epoch, epochs)
        try:
            stopped = self.run_epochs()
        finally:
            run_whole_network(self.training.model)
        if self.best:
            load_tensors(self.training.model, self.best, strict=False)
        passed = self.first_pass if self.progress.epochs else None
        return Outcome(
            progress=self.progress,
            stopped=stopped,
            images_per_second=self.pace.images_per_second,
            by_network=self.pace.by_network,
            features_from=self.features_from,
            features=self.training.features or (passed.features() if passed else {}),
            validated=self.validated,
            failure=self.failure,
        )

    def make_loaders(self) -> None:
        training = self.training
        self.train_loader = make_loader(training.train.data, self.order, training.num_workers)
        self.valid_loader = validation_loader(training)

    def learn_from_features(self, first_pass: FirstPass) -> None:
        """Go on with the tail alone, on the features of the epoch that ran the whole network."""
        self.first_pass, training = None, first_pass.finish()
        if training is None:
            return
        self.training = training
        self.make_loaders()
        self.features_from = self.progress.epochs + 1
        self.on_features()
        training.environment.say(first_pass.sentence(self.features_from))

    def watched(self, split: str, batches: Iterator[Batch]) -> Iterator[Batch]:
        return batches if self.first_pass is None else self.first_pass.watched(split, batches)

    def run_epochs(self) -> Stopped | None:
        while self.progress.epochs < self.training.arguments.epochs:
            if self.patience_is_over():
                return "early_stopping"
            if self.first_pass is not None and self.progress.epochs:
                self.learn_from_features(self.first_pass)
            stop_reason = self.train_epoch(self.progress.epochs + 1)
            if stop_reason == "rule":  # no checkpoint: what it found would be in there
                self.stop_by_rule()
                return "rule"
            if stop_reason == "sigterm":
                self.progress.totals = total(_float64(self.progress.totals)).tolist()
                self.save()
                return "sigterm"
            scores = self.validate(self.progress.epochs + 1)
            if not self.complete_epoch(scores):
                return "diverged"
            self.save()
        return None

    def patience_is_over(self) -> bool:
        patience, progress = self.training.arguments.patience, self.progress
        return 0 < patience <= progress.epochs - progress.best_epoch

    def stop_by_rule(self) -> None:
        training, best = self.training, self.progress.best_epoch
        if not best:  # without a sentence it is not the leader, who measures
            sentence = None if training.watch is None else training.watch.stop_sentence
            self.failure = sentence or "stopped by a rule of the first process"
        else:
            training.environment.say(f"stopped by a rule; the model of epoch {best} is delivered")

    def train_epoch(self, epoch: int) -> StopReason | None:
        """Run what is left of an epoch; return why it was left before its end, if it was."""
        training, progress = self.training, self.progress
        self.order.epoch, self.order.skip = epoch, progress.batches
        set_training(training.model, frozen=training.frozen, given=training.pretrained)
        training.instrumentation.epoch(epoch, "TRAIN")
        totals = _float64(progress.totals).to(training.compute.device)
        # Counted on the device: to look at each step's loss would make a GPU wait.
        sound = _float64([float(progress.batches)]).to(totals)
        started, spent, before = time.perf_counter(), progress.seconds, progress.totals[2]
        batches = self.watched(TRAIN_CHANNEL, self.seeded_batches(epoch))
        while True:
            measured = training.instrumentation
            stop_reason = training.stop.reason(rule=measured.stop_requested is not None)
            if stop_reason:
                break
            with measured.phase("data_wait"):
                batch = next(batches, None)
            if batch is None:
                break
            totals += self.step(batch, self.progress.epochs * self.steps_per_epoch)
            progress.batches += 1
            sound += torch.isfinite(totals[0])
            if training.environment.is_leader:
                self.lines.say(epoch, progress.batches, totals)
        progress.totals, self.sound_steps = totals.tolist(), int(sound)
        progress.seconds = spent + time.perf_counter() - started
        network = WHOLE_NETWORK if self.features_from is None else TAIL_ALONE
        self.pace.add(network, progress.totals[2] - before, progress.seconds - spent)
        whole = progress.batches == self.steps_per_epoch
        return None if whole and stop_reason != "rule" else stop_reason

    def seeded_batches(self, epoch: int) -> Iterator[Batch]:
        """Set the random state of an epoch, or of its middle; return the batches still to come."""
        rank = self.training.environment.rank
        seed_dropout(self.training.arguments.seed, epoch, rank)
        batches = iter(self.train_loader)
        # Only now: to start the batches draws a number, which the kept state is already behind.
        if self.progress.batches and self.random_state is not None and rank == 0:
            self.random_state.restore()
        return batches

    def step(self, batch: Batch, step_of_epoch: int) -> Tensor:
        """Learn from a batch; return its sums of loss and correct answers, and its size."""
        step = step_of_epoch + self.progress.batches
        factor = rate_factor(self.training.arguments, step, self.steps_per_epoch)
        return learn(self.training, self.stepped, batch, factor)

    def validate(self, epoch: int) -> tuple[Scores, float]:
        """Score the validation split; return the scores and the seconds that it took."""
        training, started = self.training, time.perf_counter()
        share_buffers(training.model)
        training.instrumentation.epoch(epoch, "EVAL")
        scores = validate(training, self.watched(VALID_CHANNEL, iter(self.valid_loader)))
        return scores, time.perf_counter() - started

    def complete_epoch(self, validated: tuple[Scores, float]) -> bool:
        """Book an epoch, print its metrics, keep the best; False when training diverged."""
        progress, (scores, seconds) = self.progress, validated
        epoch = progress.epochs + 1
        sums = total(_float64(progress.totals))
        loss, accuracy = float(sums[0] / sums[2]), float(sums[1] / sums[2])
        valid = scores.means()
        if not (math.isfinite(loss) and math.isfinite(valid["loss"] or 0.0)):
            self.diverge(epoch, loss, valid["loss"])
            return False
        rate = float(self.training.optimizer.param_groups[0]["lr"])
        train: Means = {"loss": loss, "accuracy": accuracy, "top5_accuracy": None}
        progress.history += [
            metrics_row(epoch, TRAIN_CHANNEL, train, (int(sums[2]), progress.seconds, rate)),
            metrics_row(epoch, VALID_CHANNEL, valid, (len(scores.label), seconds, None)),
        ]
        if self.training.environment.is_leader:
            print_epoch(epoch, train, valid, progress.seconds + seconds)
        progress.epochs, progress.batches = epoch, 0
        progress.totals, progress.seconds = [0.0, 0.0, 0.0], 0.0
        if progress.best_loss is None or (valid["loss"] or 0.0) < progress.best_loss:
            progress.best_epoch, progress.best_loss = epoch, valid["loss"]
            self.best, self.validated = self.learned(), scores
        return True

    def diverge(self, epoch: int, loss: float, valid: float | None) -> None:
        """Report which loss is no number, since when, what to do; the last good model stays."""
        lr = self.training.arguments.lr
        if not math.isfinite(loss):
            # Of several processes, another one may have met it first.
            here = self.sound_steps < self.progress.batches
            step = f"step {self.sound_steps + 1} of " if here else ""
            what = f"the training loss is {loss} since {step}epoch {epoch}"
        else:
            what = f"the validation loss is {valid} in epoch {epoch}"
        sentence = f"{what}: lower the learning rate ({lr=})"
        if not self.progress.best_epoch:
            self.failure = sentence
            return
        print(f"{sentence}; the model of epoch {self.progress.best_epoch} is delivered", flush=True)

    def learned(self) -> dict[str, Tensor]:
        tensors = learning_tensors(self.training.model, frozen=self.training.frozen)
        return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}

    def save(self) -> None:
        """Write a checkpoint; only the leader does."""
        training = self.training
        if not (training.environment.is_leader and training.checkpoints.enabled):
            return
        now = {f"model.{name}": tensor for name, tensor in self.learned().items()}
        best = {}
        if self.progress.best_epoch != self.progress.epochs or self.progress.batches:
            best = {f"best.{name}": tensor for name, tensor in self.best.items()}
        random = RandomState.now(training.compute.device).tensors()
        tensors = {**now, **best, **optimizer_tensors(training.optimizer), **random}
        training.checkpoints.save(self.progress, tensors)

    def resume(self) -> None:
        """Take up the newest checkpoint, if there is one."""
        training = self.training
        checkpoint = training.checkpoints.load()
        if checkpoint is None:
            return
        self.progress, tensors = checkpoint
        load_tensors(training.model, with_prefix(tensors, "model."), strict=False)
        restore_optimizer(training.optimizer, tensors)
        if self.progress.best_epoch:
            self.best = with_prefix(tensors, "best.") or with_prefix(tensors, "model.")
        self.random_state = RandomState.kept(tensors, training.compute.device)
        if not training.environment.is_leader:
            self.progress.totals = [0.0, 0.0, 0.0]  # the leader has those of all processes
            return
        progress = self.progress
        print(f"resumed after epoch {progress.epochs}, step {progress.batches}", flush=True)


def _float64(sums: list[float]) -> Tensor:
    return torch.tensor(sums, dtype=torch.float64)
