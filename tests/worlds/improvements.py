"""Runs and comparisons by hand: what an improvement reads, without any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from platforms import Settings
from platforms.files import write_json
from tasks.improve.plan import ImprovementPlan, plan_improvement
from tasks.parameters.improvement import ImprovementParameters
from tasks.runs.names import RunIdentity
from tasks.runs.record import open_run, record
from tasks.runs.record_model import RunFacts

VERDICT = {
    "sentence": "The loader holds this training back.",
    "change": {"num_workers": 2},
    "expected_gain": {"kind": "speed", "factor": 1.5, "seconds": 10.0, "reasoning": "because"},
}


def write_run(
    home: Path,
    name: str = "l'été",
    *,
    verdict: dict[str, Any] | None = VERDICT,
    training: dict[str, Any] | None = None,
    job: str | None = None,
) -> RunIdentity:
    """Write a run's record, its ``training.json`` and its verdict."""
    settings = Settings(home=home)
    run = open_run(settings, str(uuid5(NAMESPACE_URL, name)), name, {}, resume=False)
    record(
        settings, run, RunFacts.model_validate({"jobs": {"training": job or f"{run.prefix}-train"}})
    )
    folder = settings.runs / run.name / "training"
    write_json(folder / "training.json", training or {"epochs_run": 4, "cached_features": False})
    if verdict is not None:
        write_json(folder / "instrumentation/verdict.json", verdict)
    return run


def comparison(decision: str = "kept") -> dict[str, Any]:
    """Return a ``comparison.json``: half the time, 50 s saved."""
    blocks = [
        {"variant": "AB"[(index + index // 2) % 2], "pair": index // 2, "seconds_per_image": 0.01}
        for index in range(12)
    ]
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "confidence": 0.96875}
    return {
        "change": {"num_workers": 2},
        "before": {"num_workers": 0},
        "measure": "speed",
        "decision": decision,
        "reason": "0.500 times the time",
        "job": {
            "epochs": 4,
            "images": 100,
            "seconds": {"A": 100.0, "B": 50.0},
            "saved_seconds": 50.0,
        },
        "speed": {
            "blocks": blocks,
            "pairs": 6,
            "seconds_per_image": {"A": 0.02, "B": 0.01},
            "ratio": estimate,
            "control": {**estimate, "value": 1.0, "low": 0.99, "high": 1.01},
            "one_time_seconds": {"A": 0.5, "B": 0.75},
        },
        "quality": None,
        "seconds": 30.0,
    }


def planned(home: Path, run: str = "latest", **asked: Any) -> ImprovementPlan:
    """Return the plan of an improvement that was asked for."""
    return plan_improvement(Settings(home=home), ImprovementParameters(run=run, **asked))
