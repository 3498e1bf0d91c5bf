"""Train an image classifier in a SageMaker training job.

    python sm_entrypoints/train.py --model resnet18 --epochs 3 --lr 0.001

Hyperparameters: :class:`sm_entrypoints.contract.arguments.TrainingArguments`. Folders: ``SM_*``
(:class:`sm_entrypoints.job.environment.Environment`). Exit code 0 means that a model was delivered,
even after SIGTERM: then the checkpoint, the model and the metrics so far are written, and the test
evaluation is left out (SageMaker kills a job 120 seconds after SIGTERM). On failure the exit code
is 1 and ``output/failure`` holds a sentence, with a traceback unless the caller is at fault.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # as a script only: sys.path starts with this file's own folder
    gc.disable()  # until all is imported: nothing of it is garbage
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import torch

from sm_entrypoints.contract import TEST_CHANNEL
from sm_entrypoints.contract.arguments import TrainingArguments, parse_arguments
from sm_entrypoints.contract.rule_actions import parse_actions
from sm_entrypoints.features.backbone import Built, multiplies_bfloat16
from sm_entrypoints.images.channels import Split, Splits, read_splits
from sm_entrypoints.job.clock import Clock, process_age
from sm_entrypoints.job.containment import Containment
from sm_entrypoints.job.entry_point import run_entry_point
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.process_use import ProcessUse
from sm_entrypoints.job.processes import StopRequest, end, leaders_text
from sm_entrypoints.models.model import ModelCard, save_model
from sm_entrypoints.rules.judgement import announce_verdict
from sm_entrypoints.training.delivery import (
    best_metrics,
    last_line,
    named_metrics,
    score_images,
    versions,
)
from sm_entrypoints.training.evaluation import Scores
from sm_entrypoints.training.feeds import feature_rows, features_fit
from sm_entrypoints.training.loop import fit
from sm_entrypoints.training.outputs import (
    copy_serving_code,
    write_evaluation,
    write_metrics,
    write_summary,
    write_validation,
)
from sm_entrypoints.training.pictures import kept_on_entry, tell_of_pictures
from sm_entrypoints.training.preparation import Prepared, prepare
from sm_entrypoints.training.state import NothingLearned, Outcome, Training, metrics_row

# Debugger's automatic hook (sm_entrypoints/zero_code) leaves this program alone.
BRINGS_ITS_OWN_HOOK = True
# A test that calls main() is older than its training.
_IS_THE_JOB = __name__ == "__main__"


def run(arguments: TrainingArguments, environment: Environment, stop: StopRequest) -> None:
    """Train, evaluate and write everything that the job delivers.

    Raises:
        JobError: the data, the weights or the hyperparameters do not allow it.
        OSError: an output cannot be written.
    """
    clock = Clock.start(age=process_age() if _IS_THE_JOB else 0.0)
    seconds = {"start_up": clock.lap()}
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    splits = read_splits(environment.channels)
    prepared = prepare(arguments, environment, splits, stop)
    training = prepared.training
    environment.say(_introduction(prepared, splits))
    seconds["initialization"] = clock.lap()
    with training.instrumentation, ProcessUse() as use:
        outcome = fit(training, on_features=use.split)
    seconds["training"] = clock.lap()
    if outcome.failure is not None:
        if environment.is_leader:
            write_metrics(environment.output_data_dir, outcome.progress.history)
            _explain(prepared, splits, outcome, use, {**seconds, "total": clock.total()})
        # Who fails first takes the others with it, and writes the failure file.
        raise NothingLearned(leaders_text(outcome.failure))
    card = replace(prepared.card, metrics=_best_metrics(outcome), versions=versions())
    if environment.is_leader:
        save_model(environment.model_dir, training.model, card)
        copy_serving_code(environment.model_dir)
    validated = outcome.validated or _score(training, splits.valid, card, outcome)
    with kept_on_entry(training.model, wanted=bool(outcome.features)) as entered:
        tested = _score(training, splits.test, card, outcome)
    seconds["evaluation"] = clock.lap()
    if not environment.is_leader:
        return
    write_validation(environment.output_data_dir, splits.valid, validated, card.classes)
    _deliver(
        prepared,
        outcome,
        card,
        split=splits.test,
        tested=tested,
        evaluation_seconds=seconds["evaluation"],
    )
    spent = clock.total()
    tell_of_pictures(prepared, splits, outcome, tested=tested, entered=entered, seconds=spent)
    seconds["finalization"] = clock.lap()
    _explain(prepared, splits, outcome, use, {**seconds, "total": clock.total()})
    print(_last_line(outcome, tested), flush=True)


def _explain(
    prepared: Prepared,
    splits: Splits,
    outcome: Outcome,
    use: ProcessUse,
    seconds: dict[str, float],
) -> None:
    """Leave what tells how the training went, also when it delivers nothing."""
    folder = prepared.training.environment.output_data_dir
    summary = _summary(prepared, outcome, seconds)
    classes = splits.classes
    trained, validated = (
        {label: split.labels.count(index) for index, label in enumerate(classes)}
        for split in (splits.train, splits.valid)
    )
    measured = {
        "class_counts": trained,
        "class_counts_valid": validated,
        "process_use": use.document(),
        "features_fit": _features_fit(prepared, splits, outcome),
    }
    write_summary(folder, {**summary, **measured})
    if prepared.training.instrumentation.close():
        announce_verdict(folder, parse_actions(prepared.training.arguments.rules))


def _features_fit(prepared: Prepared, splits: Splits, outcome: Outcome) -> bool | None:
    """Return whether a job like this one could keep features; None where it has none to keep."""
    training = prepared.training
    if not training.frozen or outcome.features_from or not training.instrumentation.close():
        return None
    built = Built(
        model=training.model,
        card=prepared.card,
        compute=prepared.compute,
        frozen=True,
        pretrained=False,
    )
    rows = feature_rows(training.arguments, splits)
    containment = Containment("the check for cached features", on_failure=lambda: None)
    return containment.run(features_fit, built, rows, training.environment.world_size)


def _introduction(prepared: Prepared, splits: Splits) -> str:
    training = prepared.training
    learning = sum(p.numel() for p in training.model.parameters() if p.requires_grad)
    where = f"{training.compute.device.type} in {prepared.compute.dtype_name}"
    cached = ", on cached features" if prepared.feeds.cached else ""
    return (
        f"{training.arguments.model}: {len(splits.classes)} classes, {len(splits.train)} training "
        f"and {len(splits.valid)} validation images; {learning:,} parameters learn on {where}, "
        f"{torch.get_num_threads()} threads{cached}"
    )


def _score(
    training: Training, split: Split | None, card: ModelCard, outcome: Outcome
) -> Scores | None:
    """Score a split; None where there is none, or no time. Every process must call it."""
    if not split or outcome.stopped == "sigterm" or training.stop.agreed():
        return None
    return score_images(
        training.model,
        card,
        split,
        compute=training.compute,
        environment=training.environment,
        num_workers=training.arguments.num_workers,
    )


def _best_metrics(outcome: Outcome) -> dict[str, float]:
    return best_metrics(outcome.progress.history, outcome.progress.best_epoch)


def _deliver(
    prepared: Prepared,
    outcome: Outcome,
    card: ModelCard,
    *,
    split: Split | None,
    tested: Scores | None,
    evaluation_seconds: float,
) -> None:
    environment, history = prepared.training.environment, list(outcome.progress.history)
    folder = environment.output_data_dir
    folder.mkdir(parents=True, exist_ok=True)
    if split and tested:
        means = tested.means()
        measured = (len(split), evaluation_seconds, None)
        history.append(metrics_row(outcome.progress.best_epoch, TEST_CHANNEL, means, measured))
        write_evaluation(folder, split, tested, card.classes)
        metrics = {**card.metrics, **named_metrics(TEST_CHANNEL, means)}
        save_model(environment.model_dir, prepared.training.model, replace(card, metrics=metrics))
    write_metrics(folder, history)


def _summary(prepared: Prepared, outcome: Outcome, seconds: dict[str, float]) -> dict[str, Any]:
    """Return the document of ``training.json``."""
    training, card = prepared.training, prepared.card
    parameters = list(training.model.parameters())
    use = prepared.feeds.features
    by_rule = training.watch is not None and outcome.stopped == "rule"
    return {
        "arguments": asdict(training.arguments),
        "model": {
            "architecture": card.architecture,
            "classes": list(card.classes),
            "image_size": card.image_size,
            "mean": list(card.mean),
            "std": list(card.std),
            "fingerprints": dict(card.fingerprints),
            "trainable": "head" if training.frozen else "all",
            "precision": prepared.compute.dtype_name,
            "channels_last": training.compute.channels_last,
        },
        "epochs_run": outcome.progress.epochs,
        "best_epoch": outcome.progress.best_epoch,
        "stopped": outcome.stopped,
        "stopped_by": training.watch.stop_document() if training.watch and by_rule else None,
        "parameters_total": sum(parameter.numel() for parameter in parameters),
        "parameters_trained": sum(p.numel() for p in parameters if p.requires_grad),
        "device": training.compute.device.type,
        "hardware": {"bfloat16": multiplies_bfloat16()},
        "threads": torch.get_num_threads(),
        "processes": training.environment.world_size,
        "versions": versions(),
        "seconds": seconds,
        "images_per_second": outcome.images_per_second,
        "images_per_second_by_network": outcome.by_network,
        "cached_features": outcome.features_from is not None,
        "features_from_epoch": outcome.features_from,
        "features": None if use is None else asdict(use),
    }


def _last_line(outcome: Outcome, tested: Scores | None) -> str:
    tests = named_metrics(TEST_CHANNEL, tested.means()) if tested else {}
    return last_line(outcome.progress.best_epoch, {**_best_metrics(outcome), **tests})


def main(argv: Sequence[str] | None = None, variables: Mapping[str, str] | None = None) -> int:
    """Run the job that ``argv`` and ``variables`` (default: this process's) describe.

    Returns:
        The exit code: 0, or 1 with the failure file written.
    """
    return run_entry_point("training", run, parse=parse_arguments, argv=argv, variables=variables)


if __name__ == "__main__":
    gc.freeze()  # what was imported stays to the end: to take it apart there takes a second
    gc.enable()
    end(main())
