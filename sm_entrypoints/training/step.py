"""One training step and one validation pass, shared by the training loop and the A/B comparison."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from sm_entrypoints.images.batches import Batch, BatchOrder, make_loader
from sm_entrypoints.training.evaluation import Evaluation, Scores
from sm_entrypoints.training.optimisation import set_rate
from sm_entrypoints.training.state import Training

# Evaluation stores no gradients: small training batches need not slow it down.
_EVALUATION_BATCH = 32


def seed_dropout(seed: int, epoch: int, rank: int = 0) -> None:
    """Set torch's random state, which only dropout and stochastic depth use, for an epoch."""
    torch.manual_seed((seed * 1_000_003 + epoch) * 1_009 + rank)


def learn(training: Training, network: nn.Module, batch: Batch, factor: float) -> Tensor:
    """Learn from a batch; return its sums of loss and correct answers, and its size, as float64.

    Args:
        training: what learns, already in training mode.
        network: ``training.network``, or what averages its gradients over processes.
        batch: what to learn from.
        factor: what the peak learning rates are multiplied with.
    """
    truth = batch.labels
    watch, device = training.instrumentation, training.compute.device
    watch.batch(batch.making, len(truth))
    set_rate(training.optimizer, factor)
    with watch.phase("transfer"):
        inputs, truth = training.train.prepare(batch.inputs), truth.to(device, non_blocking=True)
    with watch.phase("forward"), training.compute.autocast():
        outputs = network(inputs)
        loss = training.loss_function(outputs.float(), truth)
    with watch.phase("backward"):
        training.optimizer.zero_grad(set_to_none=True)
        loss.backward()
    with watch.phase("optimizer"):
        training.optimizer.step()
    watch.step(len(truth), loss.detach())
    return _sums(outputs.detach().float(), truth)


def validation_loader(training: Training) -> DataLoader[Batch]:
    """Return this process's share of the validation split, in order."""
    arguments, environment = training.arguments, training.environment
    data, size = training.valid.data, max(_EVALUATION_BATCH, arguments.batch_size)
    shard = (environment.rank, environment.world_size)
    return make_loader(data, BatchOrder(len(data), size, shard=shard), training.num_workers)


def validate(training: Training, batches: Iterable[Batch]) -> Scores:
    """Score the validation split, of which ``batches`` are this process's share."""
    training.model.eval()
    evaluation = Evaluation(
        network=training.network,
        class_count=training.class_count,
        prepare=training.valid.prepare,
        autocast=training.compute.autocast,
        loss_function=training.loss_function,
        instrumentation=training.instrumentation,
    )
    return evaluation.score(batches, training.valid.data.labels)


def _sums(logits: Tensor, truth: Tensor) -> Tensor:
    """Return loss (plain cross entropy), correct answers and samples of a batch, as float64."""
    loss = cross_entropy(logits, truth, reduction="none").double().sum()
    correct = (logits.argmax(1) == truth).double().sum()
    return torch.stack([loss, correct, torch.full_like(loss, len(truth))])
