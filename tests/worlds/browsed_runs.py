"""A home with runs to look at: two that completed, one that failed, one that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from platforms import Settings
from platforms.files import point_to, write_json
from tasks.runs.record import OUTPUT_FOLDER, REPORT_FILE, RUN_FILE, run_folder
from tests.worlds.run_records import deployed, record_values
from tests.worlds.sample_output import write_output

FIRST, SECOND = "pets 1", "<b>été"
LEDGER = {
    "job": "pets-train",
    "stage": "train",
    "status": "Completed",
    "instance_type": "ml.m5.xlarge",
    "instance_count": 1,
    "billable_seconds": 90,
    "spot_saving": 0.0,
    "usd": "0.0057",
    "price": "table",
}


def make_runs(settings: Settings) -> None:
    """Write the runs into the home of ``settings``; ``latest`` points to the second."""
    ended: dict[str, Any] = {
        "status": "completed",
        "evaluation": {"accuracy": 0.735, "samples": 117},
    }
    _run(
        settings,
        FIRST,
        started="2026-11-20T10:00:00+00:00",
        parameters={"model": {"architecture": "mobilenet_v2"}, "tuning": {"max_jobs": 64}},
        data={"name": "pets", "fingerprint": "aaa"},
        verdict={"sentence": "The learning rate is too high.", "change": {"lr": 0.001}},
        ledger={"train": LEDGER},
        **ended,
    )
    _run(
        settings,
        SECOND,
        started="2026-11-21T10:00:00+00:00",
        parameters={"model": {"architecture": "resnet18"}, "tuning": {"max_jobs": 64}},
        data={"name": "dogs", "fingerprint": "bbb"},
        endpoint=deployed("new").model_dump(),
        **ended,
    )
    _run(
        settings,
        "third",
        output=False,
        status="failed",
        started="2026-11-22T10:00:00+00:00",
        error="Flow run encountered an exception: DataError: no such folder",
    )
    broken = run_folder(settings, "broken")
    broken.mkdir()
    (broken / RUN_FILE).write_text("{not JSON", encoding="utf-8")
    point_to(settings.runs / "latest", run_folder(settings, "pets 1"))


def _run(settings: Settings, name: str, *, output: bool = True, **parts: Any) -> Path:
    folder = run_folder(settings, name)
    folder.mkdir(parents=True)
    write_json(folder / RUN_FILE, record_values(name, **parts))
    if output:
        write_output(folder / OUTPUT_FOLDER, samples=40, steps=40, mistakes=1, layers=2, seconds=5)
        (folder / REPORT_FILE).write_text("<!doctype html><title>report</title>", encoding="utf-8")
    return folder
