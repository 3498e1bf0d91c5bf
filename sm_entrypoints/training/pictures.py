"""What a training that learned from features tells of its pictures at its end.

Nearly free then: features of train and valid are in memory, those of test pass by while the test
split is evaluated. A failure here stays here, and there is a limit to how long it may take.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from sm_entrypoints.contract import TEST_CHANNEL
from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.examination.findings import Examined, write_picture_findings
from sm_entrypoints.examination.mistakes import Mistake, Network
from sm_entrypoints.features.backbone import tail_of
from sm_entrypoints.images.channels import Split, Splits
from sm_entrypoints.job.containment import Containment
from sm_entrypoints.training.evaluation import Scores
from sm_entrypoints.training.preparation import Prepared
from sm_entrypoints.training.state import Outcome

_MOST_MISTAKES = 24
# Of the job's time so far, but never less than the seconds.
_SHARE, _LEAST_SECONDS = 0.05, 5.0


@contextmanager
def kept_on_entry(model: nn.Module, *, wanted: bool = True) -> Iterator[list[Tensor]]:
    """Collect what enters the tail of ``model`` meanwhile, on the CPU: the features of batches.

    Nothing is collected that is not ``wanted``.
    """
    kept: list[Tensor] = []
    if not wanted:
        yield kept
        return
    first = next(tail_of(model).children())
    with first.register_forward_pre_hook(
        lambda _, inputs: kept.append(inputs[0].detach().float().cpu())
    ):
        yield kept


def _tells_of_pictures(prepared: Prepared) -> bool:
    """Say whether a training is to tell of its pictures: one that is watched, in one process."""
    training = prepared.training
    watched = bool(training.instrumentation.close())
    return watched and training.frozen and training.environment.world_size == 1


def why_untold(arguments: TrainingArguments) -> str | None:
    """Return why a training of a frozen backbone has no features to tell of its pictures by; None
    where that was said before.
    """
    if not arguments.views or arguments.epochs > 1:
        return None
    return (
        f"this training tells nothing of the pictures: with views={arguments.views} one epoch "
        "shows some version of each, and needs no features. Give 2 epochs or more, or ask "
        "`whippet data`"
    )


def tell_of_pictures(
    prepared: Prepared,
    splits: Splits,
    outcome: Outcome,
    *,
    tested: Scores | None,
    entered: list[Tensor],
    seconds: float,
) -> None:
    """Write ``pictures.json`` of a training that learned from features, and say so in one line.

    Args:
        prepared: the training; its model is the one that is delivered.
        splits: its pictures.
        outcome: what it did.
        tested: the evaluation of the test split; None for none.
        entered: what entered the tail during it.
        seconds: that the job has taken so far.
    """
    # Only the leader comes here: asking once more whether to stop would wait for the others.
    stopped = outcome.stopped == "sigterm" or (splits.test is not None and tested is None)
    if stopped or not _tells_of_pictures(prepared):
        return
    if not outcome.features:
        reason = why_untold(prepared.training.arguments)
        if reason is not None:
            print(reason, flush=True)
        return
    features, parts = dict(outcome.features), [splits.train, splits.valid]
    if splits.test and tested is not None and entered:
        features[TEST_CHANNEL] = torch.cat(entered)
        parts.append(splits.test)
    network = Network(
        model=prepared.training.model.eval(),
        card=prepared.card,
        compute=replace(prepared.compute, dtype=torch.float32),
    )
    mistakes = _mistakes(splits.test, tested) if splits.test and tested is not None else []
    examined = Examined(splits=parts, features=features, network=network, mistakes=mistakes)
    containment = Containment("the examination of the pictures", on_failure=lambda: None)
    said = containment.run(
        write_picture_findings,
        prepared.training.environment.output_data_dir,
        examined,
        seconds=max(_LEAST_SECONDS, _SHARE * seconds),
    )
    if said is not None:
        print(said, flush=True)


def _mistakes(split: Split, scores: Scores) -> list[Mistake]:
    by_loss = scores.loss.argsort(descending=True, stable=True).tolist()
    wrong = [index for index in by_loss if not scores.correct[index]]
    return [
        Mistake(
            split=split,
            index=index,
            predicted=int(scores.predicted[index]),
            probability=float(scores.probability[index]),
        )
        for index in wrong[:_MOST_MISTAKES]
    ]
