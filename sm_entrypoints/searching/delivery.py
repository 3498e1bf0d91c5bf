"""What a search delivers: the trial table, the best head as a model, and the summary."""

from __future__ import annotations

import json
import resource
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sm_entrypoints.contract import (
    SEARCH_SUMMARY_FILE,
    TEST_CHANNEL,
    TRIAL_METRICS_FILE,
    TRIALS_FILE,
)
from sm_entrypoints.contract.files import write_json, write_text
from sm_entrypoints.features.backbone import Built
from sm_entrypoints.images.channels import Split
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.models.model import load_tensors, save_model
from sm_entrypoints.searching.progress import Best
from sm_entrypoints.searching.search_loop import Found
from sm_entrypoints.searching.trial import Trial
from sm_entrypoints.training.delivery import best_metrics, last_line, named_metrics, versions
from sm_entrypoints.training.evaluation import Scores
from sm_entrypoints.training.outputs import copy_serving_code, write_evaluation, write_metrics
from sm_entrypoints.training.state import metrics_row


def write_trials(folder: Path, trials: list[Trial], job: str) -> None:
    """Write ``trials.json`` and ``trial_metrics.jsonl``."""
    folder.mkdir(parents=True, exist_ok=True)
    table = [trial.summary(job) for trial in trials]
    write_json(folder / TRIALS_FILE, table, indent=1)
    lines = [
        json.dumps({"trial": trial.number + 1, **row}) + "\n"
        for trial in trials
        for row in trial.history
    ]
    write_text(folder / TRIAL_METRICS_FILE, "".join(lines))


class BestModel:
    """The network with the best head, as a job delivers it.

    Args:
        built: the network that all trials share.
        best: the head, which is put into it.
        trial: that it is of.
        environment: where to deliver.
    """

    def __init__(self, built: Built, best: Best, trial: Trial, environment: Environment) -> None:
        self._trial = trial
        self._best = best
        self._environment = environment
        self.model = built.model.eval()
        load_tensors(self.model, best.head, strict=False)
        self._metrics = best_metrics(trial.history, best.epoch)
        self.card = replace(built.card, metrics=self._metrics, versions=versions())

    def deliver(self) -> None:
        """Write the model, its card and the code that serves it."""
        save_model(self._environment.model_dir, self.model, self.card)
        copy_serving_code(self._environment.model_dir)
        self._environment.output_data_dir.mkdir(parents=True, exist_ok=True)
        write_metrics(self._environment.output_data_dir, self._trial.history)

    def deliver_test(self, split: Split, scores: Scores, seconds: float) -> None:
        """Write the evaluation of the test split, and its metrics into the card."""
        folder, means = self._environment.output_data_dir, scores.means()
        row = metrics_row(self._best.epoch, TEST_CHANNEL, means, (len(split), seconds, None))
        write_metrics(folder, [*self._trial.history, row])
        write_evaluation(folder, split, scores, self.card.classes)
        self._metrics = {**self._metrics, **named_metrics(TEST_CHANNEL, means)}
        self.card = replace(self.card, metrics=self._metrics)
        save_model(self._environment.model_dir, self.model, self.card)

    def last_line(self) -> str:
        """Return the metrics of the delivered model: readers take the last objective they find."""
        return last_line(self._best.epoch, self._metrics)

    def document(self, job: str) -> dict[str, Any]:
        """Return what the summary says of it; hyperparameters include those that were fixed."""
        return {
            "trial": self._trial.number + 1,
            "name": self._trial.name(job),
            "epoch": self._best.epoch,
            "objective": self._best.loss,
            "tuned": dict(self._trial.texts),
            "hyperparameters": asdict(self._trial.arguments),
            "metrics": dict(self._metrics),
        }


def write_search_summary(
    folder: Path, found: Found, measured: Mapping[str, Any], best: Mapping[str, Any] | None
) -> None:
    """Write ``search.json``; ``measured`` is what only the program knows."""
    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    document = {
        **measured,
        "trials": dict(Counter(trial.status for trial in found.trials)),
        "resumed_trials": found.resumed,
        "interrupted": found.interrupted,
        "epochs": sum(trial.epochs for trial in found.trials),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "versions": versions(),
        "best": best,
    }
    write_json(folder / SEARCH_SUMMARY_FILE, document)
