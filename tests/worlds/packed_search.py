"""What a packed search delivers, with made-up numbers: its trial table and their epochs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from platforms.sagemaker_requests import TrainingRequest
from sm_entrypoints import contract
from tasks.parameters.run import ModelParameters, ResourceParameters, TuningParameters
from tasks.requests.packed_search import packed_search_requests
from tasks.runs.names import RunIdentity
from tests.worlds.platforms import fake_platform
from tests.worlds.requests import training_inputs

FEATURES = "s3://bucket/whippet/features/pets/"


def packed_request(
    run: RunIdentity, platform: Any = None, *, attempt: int = 1, **tuning: Any
) -> TrainingRequest:
    """Return the request of a run's packed search, the first one unless ``attempt`` says."""
    requests = packed_search_requests(
        platform or fake_platform(),
        run,
        inputs=training_inputs().model_copy(update={"features_uri": FEATURES}),
        model=ModelParameters(),
        tuning=TuningParameters(strategy="packed", **tuning),
        resources=ResourceParameters(),
    )
    return requests(attempt)


def write_packed_search(
    folder: Path, search: str, trials: Sequence[tuple[float, Sequence[float]]]
) -> Path:
    """Write the output of a search whose trials had these learning rates and validation losses.

    A trial without losses failed before its first epoch ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = trial_table(search, trials)
    (folder / contract.TRIALS_FILE).write_text(json.dumps(table))
    lines = [line for n, (_, losses) in enumerate(trials, start=1) for line in _epochs(n, losses)]
    (folder / contract.TRIAL_METRICS_FILE).write_text("".join(f"{line}\n" for line in lines))
    return folder


def trial_table(search: str, trials: Sequence[tuple[float, Sequence[float]]]) -> list[Any]:
    """Return the trials of such a search as SageMaker lists a tuning job's."""
    return [_summary(search, n, lr, losses) for n, (lr, losses) in enumerate(trials, start=1)]


def _summary(search: str, number: int, lr: float, losses: Sequence[float]) -> dict[str, Any]:
    metric = {"MetricName": contract.OBJECTIVE_METRIC, "Value": min(losses, default=0.0)}
    ended = "Completed" if losses else "Failed"
    return {
        "TrainingJobName": f"{search}-{number:03d}-0a1b2c3d",
        "TrainingJobStatus": ended,
        "CreationTime": f"2026-11-26T10:{number:02d}:00+00:00",
        "TrainingStartTime": f"2026-11-26T10:{number:02d}:00+00:00",
        "TrainingEndTime": f"2026-11-26T10:{number:02d}:01+00:00",
        "TunedHyperParameters": {"lr": repr(lr)},
        "ObjectiveStatus": "Succeeded" if losses else "Failed",
        **({"FinalHyperParameterTuningJobObjectiveMetric": metric} if losses else {}),
    }


def _epochs(trial: int, losses: Sequence[float]) -> list[str]:
    empty = dict.fromkeys(contract.TRIAL_METRIC_COLUMNS)
    return [
        json.dumps(
            {
                **empty,
                "trial": trial,
                "epoch": epoch,
                "split": split,
                "loss": value,
                "accuracy": 0.5,
            }
        )
        for epoch, loss in enumerate(losses, start=1)
        for split, value in (("train", loss + 1), ("valid", loss))
    ]
