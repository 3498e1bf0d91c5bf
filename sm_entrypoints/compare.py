"""Compare a training with a changed version of it in one SageMaker training job, and decide.

    python sm_entrypoints/compare.py --model resnet18 --lr 0.001 --change '{"num_workers": 2}'

Hyperparameters: those of train.py, and those of :class:`ComparisonArguments`. It writes
``comparison.json`` into SM_OUTPUT_DATA_DIR and no model. Exit code 0 means that the comparison was
made, whatever its result; SIGTERM ends it early. Failures are handled as in train.py.

Both variants live in this process and read the same files with the same seed. A is the original, B
is changed. B is built first, so costs that only the first one pays count against the change.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # as a script only: sys.path starts with this file's own folder
    gc.disable()  # until all is imported: nothing of it is garbage
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import torch

from sm_entrypoints.comparison.arguments import ComparisonArguments, parse_comparison
from sm_entrypoints.comparison.decision import (
    Decision,
    decide_on_duration,
    decide_on_quality,
    decide_on_speed,
)
from sm_entrypoints.comparison.intervals import Estimate
from sm_entrypoints.comparison.lane import Lane
from sm_entrypoints.comparison.quality import (
    Quality,
    TooSlow,
    Workbench,
    compare_quality,
    shortened,
)
from sm_entrypoints.comparison.speed import VARIANTS, Limits, Speed, compare_speed
from sm_entrypoints.contract import COMPARISON_FILE, format_metrics
from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.files import write_text
from sm_entrypoints.images.channels import Splits, read_splits
from sm_entrypoints.job.entry_point import run_entry_point
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest
from sm_entrypoints.training.feeds import same_data
from sm_entrypoints.training.preparation import Prepared, prepare

SCHEMA = 1
# Debugger's automatic hook (sm_entrypoints/zero_code) leaves this program alone.
BRINGS_ITS_OWN_HOOK = True
# Of the time, when the change alters numbers: the rest is for the short trainings.
_SHARE_OF_SPEED = 0.6
# Enough of the files to be in memory that the first reader pays no more than the second.
_READ_AHEAD_BYTES, _READ_AHEAD_SECONDS = 1 << 30, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What the parts of the comparison share."""

    arguments: ComparisonArguments
    environment: Environment
    splits: Splits
    stop: StopRequest
    threads: int

    @property
    def variants(self) -> dict[str, TrainingArguments]:
        """The hyperparameters of each variant."""
        return {"A": self.arguments.baseline, "B": self.arguments.changed}


def run(arguments: ComparisonArguments, environment: Environment, stop: StopRequest) -> None:
    """Compare, decide, and write ``comparison.json``.

    Raises:
        JobError: a variant cannot be trained.
        OSError: the result cannot be written.
    """
    if environment.world_size > 1:
        raise JobError(
            f"a comparison runs in one process, but there are {environment.world_size}: use one "
            "instance with one device"
        )
    started = time.perf_counter()
    job = _Job(
        arguments=arguments,
        # A short training must neither resume nor leave checkpoints.
        environment=replace(environment, checkpoint_dir=Path(os.devnull)),
        splits=read_splits(environment.channels),
        stop=stop,
        threads=torch.get_num_threads(),
    )
    _read_ahead(job.splits)
    speed, losses = (_measure_speed if arguments.measure == "speed" else _measure_quality)(job)
    decision = _decide(arguments, speed, losses)
    document = _document(job, speed, losses, decision)
    document["seconds"] = time.perf_counter() - started
    environment.output_data_dir.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    write_text(environment.output_data_dir / COMPARISON_FILE, text)
    print(f"{decision.verdict}: {decision.reason}", flush=True)
    print(format_metrics({"compare:progress": 1.0}), flush=True)


def _read_ahead(splits: Splits) -> None:
    """Read the images' bytes once, so that no variant is the one that waits for the disk."""
    left, end = _READ_AHEAD_BYTES, time.monotonic() + _READ_AHEAD_SECONDS
    for split in (splits.train, splits.valid):
        for path in split.paths:
            if left <= 0 or time.monotonic() > end:
                return
            left -= len((split.folder / path).read_bytes())


def _measure_speed(job: _Job) -> tuple[Speed | None, Quality | None]:
    arguments = job.arguments
    share = _SHARE_OF_SPEED if arguments.alters_numbers else 1.0
    made, setup = _prepared(job, job.variants)
    lanes = {name: Lane(made[name].training, threads=job.threads) for name in VARIANTS}
    limits = Limits(
        pairs=arguments.pairs, seconds=share * arguments.seconds, stopped=job.stop.agreed
    )
    speed = compare_speed(lanes, limits, setup=setup, said=_speaker(share))
    if not arguments.alters_numbers or speed is None or job.stop.agreed():
        return speed, None
    return speed, _short_trainings(job, (1 - share) * arguments.seconds, after=share)


def _measure_quality(job: _Job) -> tuple[Speed | None, Quality | None]:
    return None, _short_trainings(job, job.arguments.seconds, after=0.0)


def _prepared(
    job: _Job, variants: Mapping[str, TrainingArguments]
) -> tuple[dict[str, Prepared], dict[str, float]]:
    """Return both variants ready to run, and the seconds that making each of them takes."""
    made: dict[str, Prepared] = {}
    setup: dict[str, float] = {}
    shared = same_data(variants["A"], variants["B"])
    for name in reversed(VARIANTS):
        arguments, started = variants[name], time.perf_counter()
        torch.set_num_threads(arguments.threads or job.threads)
        like = made.get("B") if shared else None
        made[name] = prepare(arguments, job.environment, job.splits, job.stop, like=like)
        setup[name] = time.perf_counter() - started
    if shared:  # made once: alone, A would have taken as long
        setup["A"] = setup["B"]
    return made, setup


def _speaker(share: float) -> Callable[[float, Estimate], None]:
    def say(spent: float, ratio: Estimate) -> None:
        values = {"compare:progress": share * spent, "compare:ratio": ratio.value}
        print(format_metrics(values), flush=True)

    return say


def _short_trainings(job: _Job, seconds: float, *, after: float) -> Quality | None:
    chosen = job.variants
    if "cache_features" not in job.arguments.change:
        # Features that are computed once give the same losses sooner.
        chosen = {name: replace(each, cache_features="auto") for name, each in chosen.items()}
    made, _ = _prepared(job, chosen)
    lanes = {name: Lane(made[name].training, threads=job.threads) for name in VARIANTS}
    per_image = {name: lanes[name].block(1).seconds_per_image for name in reversed(VARIANTS)}
    try:
        variants, splits = shortened(chosen, per_image, job.splits, seconds)
    except TooSlow as error:  # what was measured before is worth having
        print(error, flush=True)
        return None
    images = len(job.splits.train) / len(splits.train)
    whole = {name: job.variants[name].epochs / variants[name].epochs for name in VARIANTS}
    bench = Workbench(
        scale={name: images * epochs for name, epochs in whole.items()},
        environment=job.environment,
        splits=splits,
        stop=job.stop,
        seconds=seconds,
        threads=job.threads,
        made=made if splits is job.splits else {},
    )

    def say(spent: float) -> None:
        print(format_metrics({"compare:progress": after + (1 - after) * spent}), flush=True)

    return compare_quality(variants, bench, say)


def _decide(
    arguments: ComparisonArguments, speed: Speed | None, losses: Quality | None
) -> Decision:
    if arguments.measure != "speed":
        decide = decide_on_quality if arguments.measure == "quality" else decide_on_duration
        return decide(losses)
    return decide_on_speed(
        speed,
        losses,
        job_epochs=arguments.job_epochs,
        alters_numbers=arguments.alters_numbers,
    )


def _document(
    job: _Job, speed: Speed | None, losses: Quality | None, decision: Decision
) -> dict[str, Any]:
    """Return the content of ``comparison.json``; ``seconds`` of the comparison are to come."""
    arguments = job.arguments
    return {
        "schema": SCHEMA,
        "change": dict(arguments.change),
        "before": {name: getattr(arguments.baseline, name) for name in arguments.change},
        "measure": arguments.measure,
        "decision": decision.verdict,
        "reason": decision.reason,
        "job": _whole_job(job, speed, losses),
        "speed": speed and speed.document(),
        "quality": losses and losses.document(),
        "threads": {name: each.threads or job.threads for name, each in job.variants.items()},
    }


def _whole_job(job: _Job, speed: Speed | None, losses: Quality | None) -> dict[str, Any] | None:
    """Return what a job as long as the real one takes with each variant."""
    epochs = job.arguments.job_epochs
    if speed is not None:
        seconds = {name: speed.job_seconds(name, epochs) for name in VARIANTS}
    elif losses is not None:
        seconds = {name: losses.job_seconds(name) for name in VARIANTS}
    else:
        return None
    return {
        "epochs": epochs,
        "images": len(job.splits.train),
        "seconds": seconds,
        "saved_seconds": seconds["A"] - seconds["B"],
    }


def main(argv: Sequence[str] | None = None, variables: Mapping[str, str] | None = None) -> int:
    """Run the job that ``argv`` and ``variables`` (default: this process's) describe.

    Returns:
        The exit code: 0, or 1 with the failure file written.
    """
    return run_entry_point(
        "comparison", run, parse=parse_comparison, argv=argv, variables=variables
    )


if __name__ == "__main__":
    gc.freeze()  # what was imported stays to the end: to take it apart there takes a second
    gc.enable()
    sys.exit(main())
