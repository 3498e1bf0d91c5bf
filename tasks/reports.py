"""Tasks that download what a job wrote, and turn it into the run's files and its report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact

from dashboards.charts import (
    cpu_timeline_svg,
    markdown_image,
    phase_share_svg,
    training_curves_svg,
)
from dashboards.frames import TrainingOutput, read_training_output
from dashboards.report import Report, write_report
from dashboards.tables import markdown_table
from platforms import Settings, connect
from platforms.archives import extract_archive
from sm_entrypoints import contract
from tasks.files import write_atomically
from tasks.naming import RunIdentity
from tasks.policy import policy
from tasks.runs import METRICS_FILE, PREDICTIONS_FILE, REPORT_FILE, read_run, record, run_folder
from tasks.storage import download
from tasks.training import TrainedModel

OUTPUT_FOLDER = "training"
__all__ = ["PREDICTIONS_FILE", "download_output", "publish_training", "render_report"]


@task(name="download training output", **policy(1800))
def download_output(run: RunIdentity, trained: TrainedModel) -> None:
    """Bring the job's output.tar.gz into the run's folder, with metrics.csv and predictions.csv.

    The old output is replaced only when the new one is complete.
    """
    platform = connect()
    folder = run_folder(platform.settings, run.name)
    archive = folder / "output.tar.gz"
    download(platform, trained.output_uri, archive)
    fresh = folder / f".{OUTPUT_FOLDER}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    extract_archive(archive, fresh)
    shutil.rmtree(folder / OUTPUT_FOLDER, ignore_errors=True)
    fresh.rename(folder / OUTPUT_FOLDER)
    archive.unlink()
    output = read_training_output(folder / OUTPUT_FOLDER)
    write_atomically(folder / METRICS_FILE, output.metrics.to_csv(index=False).encode())
    write_atomically(folder / PREDICTIONS_FILE, output.predictions.to_csv(index=False).encode())
    record(
        platform.settings, run, {"evaluation": _headline(output), "job_environment": _job(output)}
    )


def _headline(output: TrainingOutput) -> dict[str, Any]:
    evaluation = output.evaluation or {}
    return {name: evaluation.get(name) for name in ("loss", "accuracy", "top5_accuracy", "samples")}


def _job(output: TrainingOutput) -> dict[str, Any]:
    return {
        name: output.training.get(name) for name in ("arguments", "versions", "device", "seconds")
    }


@task(name="publish training summary", **policy(300))
def publish_training(run: RunIdentity) -> None:
    """Publish the training summary with its curves, and the profiler summary."""
    folder = run_folder(Settings(), run.name)
    output = read_training_output(folder / OUTPUT_FOLDER)
    create_markdown_artifact(training_markdown(output), key="training-summary")
    create_markdown_artifact(profiler_markdown(output), key="profiler-summary")


def training_markdown(output: TrainingOutput) -> str:
    """Return the training summary: test results, curves, where the time went."""
    facts = [
        {"": "test accuracy", "value": _percent(_headline(output)["accuracy"])},
        {"": "test top-5 accuracy", "value": _percent(_headline(output)["top5_accuracy"])},
        {"": "test loss", "value": _number(_headline(output)["loss"])},
        {"": "epochs run", "value": output.training.get("epochs_run")},
        {"": "best epoch", "value": output.training.get("best_epoch")},
        {"": "images a second", "value": _number(output.training.get("images_per_second"))},
    ]
    return "\n".join(
        [
            "# Training summary",
            markdown_table(facts, ["", "value"]),
            "",
            markdown_image(training_curves_svg(output.metrics), "Loss and accuracy by epoch"),
        ]
    )


def profiler_markdown(output: TrainingOutput) -> str:
    """Return the profiler summary: phases of the steps and use of the machine."""
    summary = output.summary
    rows = [
        {"phase": phase, **{mode: _number(parts.get(phase)) for mode, parts in phases.items()}}
        for phases in [summary.get("phase_seconds", {})]
        for phase in contract.STEP_PHASES
    ]
    modes = list(summary.get("phase_seconds", {}))
    return "\n".join(
        [
            "# Profiler summary",
            "Seconds in each phase of the steps, and the CPU over time.",
            "",
            markdown_table(rows, ["phase", *modes]),
            "",
            markdown_image(phase_share_svg(summary), "Share of each phase"),
            "",
            markdown_image(cpu_timeline_svg(output.system), "CPU over time"),
        ]
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


@task(name="render report", **policy(600))
def render_report(run: RunIdentity) -> str:
    """Write the run's self-contained report from what the run has so far; return its path."""
    settings = Settings()
    folder = run_folder(settings, run.name)
    path = folder / REPORT_FILE
    write_report(path, collect_report(folder, read_run(settings, run.name)))
    record(settings, run, {"report": str(path)})
    return str(path)


def collect_report(folder: Path, known: dict[str, Any]) -> Report:
    """Return the report's content from a run's folder and record."""
    raise RuntimeError("to be matched with dashboards.report")
