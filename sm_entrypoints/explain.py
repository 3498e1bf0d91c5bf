"""Judge what smdebug, SageMaker's profiler or train.py wrote earlier.

    python sm_entrypoints/explain.py --output NEW_FOLDER [--other FOLDER] [--requests FILE]
        FOLDER [FOLDER …]

Writes the layout of a job's output into a new folder, with ``instrumentation/rules.json`` and
``verdict.json``, and prints one line of JSON: which parts were found, the results of SageMaker's
own rules, and notes on what was left out. With ``--requests`` it also writes
``requested_rules.json``: the findings of the rules that the job's request names. Progress and
errors go to stderr; the exit code is 1 when there is nothing to explain.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # as a script only: sys.path starts with this file's own folder
    gc.disable()  # until all is imported: nothing of it is garbage
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import torch

from sm_entrypoints.contract import (
    INSTRUMENTATION_FOLDER,
    INSTRUMENTATION_SUMMARY_FILE,
    METRICS_FILE,
    REDUCTIONS_FILE,
    REQUESTED_RULES_FILE,
    SAVED_TENSORS_FILE,
    STEPS_FILE,
    SYSTEM_FOLDER,
    TRAIN_CHANNEL,
    TRAINING_SUMMARY_FILE,
    VALID_CHANNEL,
)
from sm_entrypoints.contract.choices import RuleAction
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.files import write_json, write_text
from sm_entrypoints.contract.rule_actions import parse_actions
from sm_entrypoints.imported.events import read_steps, write_steps
from sm_entrypoints.imported.index import StagedTrial, stage_trial
from sm_entrypoints.imported.output import copy_output
from sm_entrypoints.imported.parts import find_parts
from sm_entrypoints.imported.reports import sagemaker_rules
from sm_entrypoints.imported.system import copy_system
from sm_entrypoints.imported.tensors import ImportedTensors, TensorImport
from sm_entrypoints.instrumentation.smdebug.saved_tensors import read_saved_tensors
from sm_entrypoints.rules.evidence import ForeignRule
from sm_entrypoints.rules.judgement import judge, plain
from sm_entrypoints.rules.reading import read_evidence, read_object
from sm_entrypoints.rules.requested import RequestedRule, judge_requested

_LIST_SECONDS = 20.0
_SPLITS = {"TRAIN": TRAIN_CHANNEL, "EVAL": VALID_CHANNEL}
# So many windows of losses at least are compared with each other.
_LOSS_WINDOWS = 4
_LOSS_WINDOW_STEPS = 10


def explain(
    roots: Sequence[Path],
    output: Path,
    *,
    allow_nothing: bool = False,
    others: Sequence[Path] = (),
    requested: Sequence[RequestedRule] = (),
) -> dict[str, Any]:
    """Judge the job whose traces lie in ``roots``; return the findings and notes.

    The answer has ``parts``, ``notes`` and ``sagemaker_rules`` (each as a ``ForeignRule``).

    Args:
        roots: folders that together hold one job's traces. output: gets the layout of a job's
        output; must be new or empty. allow_nothing: accept finding nothing; the verdict then says
        so. others: outputs of other jobs, in the layout that this one gets: are they the same run?
        requested: rules that the job's request names, with its parameters.

    Raises:
        JobError: there is nothing to explain; says what was looked for.
        OSError: a folder cannot be read or written.
    """
    parts = find_parts(roots, allow_nothing=allow_nothing)
    work = _Import(output)
    if parts.own is not None:
        print("reading the job's output", file=sys.stderr)
        copy_output(parts.own, output)
    if parts.tensors is not None and not (work.inside / REDUCTIONS_FILE).exists():
        print("reading the saved tensors", file=sys.stderr)
        work.take_tensors(parts.tensors)
    if parts.events is not None and not (work.inside / STEPS_FILE).exists():
        print("reading the framework events", file=sys.stderr)
        work.take_steps(parts.events)
    if parts.system is not None:
        print("reading the system metrics", file=sys.stderr)
        work.take_system(parts.system)
    theirs = list(sagemaker_rules(parts.reports))
    work.finish(others, theirs)
    if requested:
        work.judge_requested(requested, others)
    rules = [asdict(rule) for rule in theirs]
    return {"parts": parts.named, "notes": work.notes, "sagemaker_rules": rules}


class _Import:
    """What is known of the job so far, and where it is written."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self.inside = output / INSTRUMENTATION_FOLDER
        self.inside.mkdir(parents=True, exist_ok=True)
        self.notes: list[str] = []
        self._summary: dict[str, Any] = {}
        self._training: dict[str, Any] = {}
        self._parameters: dict[str, dict[str, Any]] = {}

    def take_tensors(self, source: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="whippet-explain-") as folder:
            staged = stage_trial(source, Path(folder) / "trial")
            reader = TensorImport(staged, self.inside)
            tensors = reader.run()
            document = read_saved_tensors(staged.folder, seconds=_LIST_SECONDS)
        document["bytes"] = staged.source_bytes
        write_json(self.inside / SAVED_TENSORS_FILE, document)
        self.notes += [*staged.notes, *tensors.notes]
        self._summary |= {
            "steps": dict(tensors.steps),
            "reductions": dict(tensors.quota),
            "smdebug": {"path": str(source), "tensors": len(document["tensors"])},
        }
        self._describe_training(staged, tensors)

    def _describe_training(self, staged: StagedTrial, found: ImportedTensors) -> None:
        epochs = max((saved.epoch for saved in staged.steps), default=1)
        last = max(staged.last_steps.get("TRAIN", 0), staged.last_steps.get("GLOBAL", 0))
        self._training |= {
            "epochs_run": epochs,
            "steps_per_epoch": math.ceil((last + 1) / epochs),
        }
        # That rule counts losses, and smdebug did not save those of every step.
        losses = [len(values) for (_, mode), values in found.losses.items() if mode == "TRAIN"]
        if losses:
            self._parameters["LossNotDecreasing"] = {"num_steps": _loss_window(losses)}
        if not (self._output / METRICS_FILE).exists() and epochs > 1:
            _write_losses(self._output / METRICS_FILE, found.losses)
            self.notes.append("Losses by epoch are means of the saved steps only.")

    def take_steps(self, source: Path) -> None:
        steps = read_steps(source)
        self.notes += steps.notes
        if steps.rows:
            write_steps(self.inside / STEPS_FILE, steps)

    def take_system(self, source: Path) -> None:
        system = copy_system(source, self._output / SYSTEM_FOLDER)
        self.notes += system.notes
        if system.samples:
            self._summary["system"] = {"samples": system.samples, "interval_ms": system.interval_ms}

    def finish(self, others: Sequence[Path], theirs: Sequence[ForeignRule]) -> None:
        """Write what a job says about itself, unless it did; then judge."""
        for path, document in (
            (self.inside / INSTRUMENTATION_SUMMARY_FILE, self._summary),
            (self._output / TRAINING_SUMMARY_FILE, self._training),
        ):
            if document and not path.exists():
                write_json(path, document)
        print("judging", file=sys.stderr)
        judge(
            self._output,
            actions=self._actions(),
            parameters=self._parameters,
            others=others,
            theirs=theirs,
        )

    def judge_requested(self, requested: Sequence[RequestedRule], others: Sequence[Path]) -> None:
        """Write what the rules that the job's request names found."""
        compared = [read_evidence(folder).records for folder in others]
        evidence = replace(read_evidence(self._output), others=compared)
        rules = plain(judge_requested(evidence, requested, self._parameters))
        write_json(self.inside / REQUESTED_RULES_FILE, {"rules": rules})

    def _actions(self) -> dict[str, RuleAction]:
        """Return the actions of the job's own rules; empty if unknown."""
        training = read_object(self._output / TRAINING_SUMMARY_FILE) or {}
        arguments = training.get("arguments")
        text = arguments.get("rules") if isinstance(arguments, dict) else None
        try:
            return parse_actions(text) if isinstance(text, str) else {}
        except ValueError as error:
            self.notes.append(f"The job's rules={text!r} are not known here: {error}")
            return {}


def _loss_window(losses: Sequence[int]) -> int:
    """Return how many losses make a window: whole epochs if there are some, else a quarter."""
    if len(losses) < 2:
        return max(3, sum(losses) // _LOSS_WINDOWS)
    each = max(losses)
    return each * min(max(1, len(losses) // 3), math.ceil(_LOSS_WINDOW_STEPS / each))


def _write_losses(path: Path, losses: Mapping[tuple[int, str], list[float]]) -> None:
    lines = []
    for (epoch, mode), values in sorted(losses.items()):
        mean = math.fsum(values) / len(values) if all(map(math.isfinite, values)) else None
        lines.append(json.dumps({"epoch": epoch, "split": _SPLITS[mode], "loss": mean}) + "\n")
    write_text(path, "".join(lines))


def _requested(path: Path | None) -> list[RequestedRule]:
    if path is None:
        return []
    return [RequestedRule.from_document(each) for each in json.loads(path.read_text("utf-8"))]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("roots", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--output", required=True, type=Path, help="a new folder")
    parser.add_argument(
        "--allow-nothing", action="store_true", help="missing traces are not an error"
    )
    other_help = "another job's output, as written by this program"
    parser.add_argument("--other", action="append", default=[], type=Path, help=other_help)
    requests_help = "JSON list of requested rules: name, rule, parameters"
    parser.add_argument("--requests", type=Path, help=requests_help)
    options = parser.parse_args(argv)
    # Small tensors: more threads would only get into each other's way.
    torch.set_num_threads(1)
    try:
        # Rules and smdebug print, and the last line of stdout is the answer.
        with contextlib.redirect_stdout(sys.stderr):
            answer = explain(
                options.roots,
                options.output,
                allow_nothing=options.allow_nothing,
                others=options.other,
                requested=_requested(options.requests),
            )
    except JobError as error:
        print(error, file=sys.stderr)
        return 1
    except ImportError as error:
        print(f"saved tensors are read by smdebug, which cannot be used: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"the folder cannot be read, or the output not written: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    gc.freeze()  # what was imported stays to the end: to take it apart there takes a second
    gc.enable()
    sys.exit(main())
