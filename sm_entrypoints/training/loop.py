"""The training loop: epochs, validation, checkpoints, early stopping.

Everything random in an epoch starts from the seed and the epoch's number, so a resumed training
gives the same numbers as an uninterrupted one.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from sm_entrypoints.contract import TRAIN_CHANNEL, VALID_CHANNEL, format_metrics
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.images.batches import Batch, BatchOrder, make_loader
from sm_entrypoints.job.processes import StopReason, share_buffers, total, wrap
from sm_entrypoints.training.checkpoint import (
    Progress,
    optimizer_tensors,
    restore_optimizer,
    with_prefix,
)
from sm_entrypoints.training.evaluation import Scores
from sm_entrypoints.training.network import set_training
from sm_entrypoints.training.optimisation import rate_factor
from sm_entrypoints.training.state import (
    Outcome,
    Stopped,
    Training,
    learning_tensors,
    metrics_row,
)
from sm_entrypoints.training.step import learn, validate, validation_loader

_PROGRESS_SECONDS = 10.0


def fit(training: Training) -> Outcome:
    """Train until the last epoch, early stopping, SIGTERM or a rule, from the newest checkpoint.

    Raises:
        JobError: a bad image, or a checkpoint of another training or that cannot be written.
    """
    return _Loop(training).run()


class _Loop:
    """The state of one :func:`fit`."""

    def __init__(self, training: Training) -> None:
        self.training = training
        arguments, environment = training.arguments, training.environment
        shard = (environment.rank, environment.world_size)
        train = training.train.data
        self.order = BatchOrder(len(train), arguments.batch_size, seed=arguments.seed, shard=shard)
        self.train_loader = make_loader(train, self.order, arguments.num_workers)
        self.valid_loader = validation_loader(training)
        self.steps_per_epoch = len(self.order)
        if not self.steps_per_epoch:
            raise JobError(
                f"{len(train)} training images are too few for {environment.world_size} processes"
            )
        self.stepped = wrap(training.network)
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.random_state: Tensor | None = None
        self.failure: str | None = None
        self.seen, self.busy = 0.0, 0.0
        self.sound_steps = 0
        self._said = time.monotonic()

    def run(self) -> Outcome:
        self.resume()
        epochs = self.training.arguments.epochs - self.progress.epochs
        self.training.instrumentation.schedule(self.steps_per_epoch, epochs)
        stopped = self.run_epochs()
        if self.best:
            self.training.model.load_state_dict(self.best, strict=False)
        return Outcome(
            progress=self.progress,
            stopped=stopped,
            images_per_second=self.seen / self.busy if self.busy else 0.0,
            failure=self.failure,
        )

    def run_epochs(self) -> Stopped | None:
        while self.progress.epochs < self.training.arguments.epochs:
            if self.patience_is_over():
                return "early_stopping"
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
        elif training.environment.is_leader:
            print(f"stopped by a rule; the model of epoch {best} is delivered", flush=True)

    def train_epoch(self, epoch: int) -> StopReason | None:
        """Run what is left of an epoch; return why it was left before its end, if it was."""
        training, progress = self.training, self.progress
        self.order.epoch, self.order.skip = epoch, progress.batches
        self.seed_epoch(epoch)
        set_training(training.model, frozen=training.frozen)
        training.instrumentation.epoch(epoch, "TRAIN")
        totals = _float64(progress.totals).to(training.compute.device)
        # Counted on the device: to look at each step's loss would make a GPU wait.
        sound = _float64([float(progress.batches)]).to(totals)
        started, spent, before = time.perf_counter(), progress.seconds, progress.totals[2]
        batches = iter(self.train_loader)
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
            self.say(epoch, totals)
        progress.totals, self.sound_steps = totals.tolist(), int(sound)
        progress.seconds = spent + time.perf_counter() - started
        self.seen += progress.totals[2] - before
        self.busy += progress.seconds - spent
        whole = progress.batches == self.steps_per_epoch
        return None if whole and stop_reason != "rule" else stop_reason

    def seed_epoch(self, epoch: int) -> None:
        """Set torch's random state, which only dropout and stochastic depth use."""
        arguments, rank = self.training.arguments, self.training.environment.rank
        torch.manual_seed((arguments.seed * 1_000_003 + epoch) * 1_009 + rank)
        if self.progress.batches and self.random_state is not None and rank == 0:
            torch.set_rng_state(self.random_state)

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
        scores = validate(training, self.valid_loader)
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
        train = {"loss": loss, "accuracy": accuracy, "top5_accuracy": None}
        progress.history += [
            metrics_row(epoch, TRAIN_CHANNEL, train, (int(sums[2]), progress.seconds, rate)),
            metrics_row(epoch, VALID_CHANNEL, valid, (len(scores.label), seconds, None)),
        ]
        self.announce(epoch, train, valid, progress.seconds + seconds)
        progress.epochs, progress.batches = epoch, 0
        progress.totals, progress.seconds = [0.0, 0.0, 0.0], 0.0
        if progress.best_loss is None or (valid["loss"] or 0.0) < progress.best_loss:
            progress.best_epoch, progress.best_loss = epoch, valid["loss"]
            self.best = self.learned()
        return True

    def diverge(self, epoch: int, loss: float, valid: float | None) -> None:
        """Report which loss is not a number, since when, and what to do; the last good model
        stays."""
        lr = self.training.arguments.lr
        if not math.isfinite(loss):
            # Of several processes, another one may have met it first.
            step = (
                f"step {self.sound_steps + 1} of "
                if self.sound_steps < self.progress.batches
                else ""
            )
            what = f"the training loss is {loss} since {step}epoch {epoch}"
        else:
            what = f"the validation loss is {valid} in epoch {epoch}"
        sentence = f"{what}: lower the learning rate ({lr=})"
        if not self.progress.best_epoch:
            self.failure = sentence
            return
        print(f"{sentence}; the model of epoch {self.progress.best_epoch} is delivered", flush=True)

    def announce(
        self,
        epoch: int,
        train: dict[str, float | None],
        valid: dict[str, float | None],
        seconds: float,
    ) -> None:
        values = {f"train:{name}": train[name] for name in ("loss", "accuracy")}
        values |= {f"valid:{name}": value for name, value in valid.items()}
        measured_values = {name: value for name, value in values.items() if value is not None}
        if self.training.environment.is_leader:
            print(
                format_metrics({"epoch": epoch, **measured_values, "epoch:seconds": seconds}),
                flush=True,
            )

    def say(self, epoch: int, totals: Tensor) -> None:
        """Print a line of progress every ten seconds."""
        now = time.monotonic()
        if now - self._said < _PROGRESS_SECONDS or not self.training.environment.is_leader:
            return
        self._said = now
        loss, correct, samples = totals.tolist()
        print(
            f"epoch {epoch}/{self.training.arguments.epochs} step {self.progress.batches}/"
            f"{self.steps_per_epoch} loss {loss / samples:.4f} accuracy {correct / samples:.4f}",
            flush=True,
        )

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
        tensors = {**now, **best, **optimizer_tensors(training.optimizer)}
        tensors["random_state"] = torch.get_rng_state()
        training.checkpoints.save(self.progress, tensors)

    def resume(self) -> None:
        """Take up the newest checkpoint, if there is one."""
        training = self.training
        checkpoint = training.checkpoints.load()
        if checkpoint is None:
            return
        self.progress, tensors = checkpoint
        training.model.load_state_dict(with_prefix(tensors, "model."), strict=False)
        restore_optimizer(training.optimizer, tensors)
        if self.progress.best_epoch:
            self.best = with_prefix(tensors, "best.") or with_prefix(tensors, "model.")
        self.random_state = tensors["random_state"]
        if not training.environment.is_leader:
            self.progress.totals = [0.0, 0.0, 0.0]  # the leader has those of all processes
            return
        progress = self.progress
        print(f"resumed after epoch {progress.epochs}, step {progress.batches}", flush=True)


def _float64(sums: list[float]) -> Tensor:
    return torch.tensor(sums, dtype=torch.float64)
