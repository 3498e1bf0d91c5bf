"""Explain a training from the files it left: a verdict, the rules, and a report.

The source is a folder written earlier by smdebug and SageMaker's profiler, a job's S3 prefix, or a
run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dashboards.files.findings import Findings, read_findings
from dashboards.files.frames import TrainingOutput, read_training_output
from dashboards.report import Report, write_report
from dashboards.sections.sagemaker import SageMakerRule
from platforms import Platform, Settings
from platforms.errors import DataError, ParameterError
from platforms.files import write_json
from sm_entrypoints.contract import INSTRUMENTATION_FOLDER, RULES_FILE, VERDICT_FILE
from tasks.explain.source import Source, fetch_source
from tasks.job_environment.explain import Answer, run_program
from tasks.report.rerun import change_commands
from tasks.runs.names import folder_name
from tasks.runs.record import REPORT_FILE, read_run

EXPLAINED_FOLDER = "explained"
# Tells a folder that may be replaced; sm_entrypoints/imported/parts.py passes such folders over.
MARKER_FILE = "explained.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What was found, and where it lies: ``report`` is the page, ``verdict_file`` verdict.json."""

    report: Path
    verdict_file: Path
    findings: Findings
    notes: Sequence[str]


def explain(
    source: str,
    *,
    output: Path | None,
    settings: Settings,
    connect: Callable[[], Platform],
    progress: Callable[[str], None],
    others: Sequence[str] = (),
) -> Explanation:
    """Judge what lies in ``source`` and write its report into ``output``.

    Args:
        source: a folder, an ``s3://`` prefix, or the name of a run.
        output: a new folder, or one of an earlier explanation; default: below WHIPPET_HOME.
        settings: where runs, the default output and the job environment are.
        connect: gives the platform; called for an S3 prefix only.
        progress: is told what is being done.
        others: more sources, each of another job: is it the same run (SimilarAcrossRuns)?

    Raises:
        DataError: there is nothing to explain, or it is malformed; says what was looked for.
        ParameterError: ``output`` is in use by something else.
        SettingsError: the job environment is missing.
    """
    target = _target(source, output, settings)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".explaining-") as folder:
        work, new = Path(folder), Path(folder) / "new"
        new.mkdir()
        (work / "source").mkdir()
        fetched = fetch_source(source, work / "source", settings, connect)
        answer = run_program(
            fetched.roots,
            new,
            job_python=settings.job_python,
            progress=progress,
            others=[
                _other(other, work / f"other-{number}", settings, connect)
                for number, other in enumerate(others)
            ],
        )
        notes = [*fetched.notes, *answer["notes"]]
        theirs = [SageMakerRule(**rule) for rule in answer["sagemaker_rules"]]
        _write_page(new, fetched, theirs, {**answer, "notes": notes}, settings)
        _replace(target, new)
    return _explanation_in(target, notes)


def _explanation_in(folder: Path, notes: Sequence[str]) -> Explanation:
    inside = folder / INSTRUMENTATION_FOLDER
    return Explanation(
        report=folder / REPORT_FILE,
        verdict_file=inside / VERDICT_FILE,
        findings=read_findings(inside / RULES_FILE, inside / VERDICT_FILE),
        notes=notes,
    )


def _other(source: str, folder: Path, settings: Settings, connect: Callable[[], Platform]) -> Path:
    """Return another job's traces in the layout of a job's output, below the new ``folder``."""
    (folder / "source").mkdir(parents=True)
    (folder / "output").mkdir()
    fetched = fetch_source(source, folder / "source", settings, connect)
    run_program(
        fetched.roots,
        folder / "output",
        job_python=settings.job_python,
        progress=lambda _line: None,
    )
    return folder / "output"


def _target(source: str, output: Path | None, settings: Settings) -> Path:
    if output is None:
        # Two sources of the same last name are two explanations.
        absolute = (
            source if source.startswith("s3://") else str(Path(source).expanduser().resolve())
        )
        digest = hashlib.sha256(absolute.encode()).hexdigest()[:8]
        name = folder_name(Path(absolute.rstrip("/")).name)
        return settings.home / EXPLAINED_FOLDER / f"{name}-{digest}"
    target = output.expanduser().absolute()
    if target.is_dir() and (not any(target.iterdir()) or (target / MARKER_FILE).is_file()):
        return target
    if target.exists():
        raise ParameterError(
            f"--output {str(output)!r} exists and is not an earlier explanation: give a new folder"
        )
    return target


def _write_page(
    folder: Path,
    source: Source,
    theirs: Sequence[SageMakerRule],
    answer: Answer,
    settings: Settings,
) -> None:
    try:
        output = read_training_output(folder)
    except ValueError as error:
        # The copy that was read is gone by the time that somebody looks for it.
        fault = str(error).replace(f"{folder}{os.sep}", "")
        raise DataError(f"{source.label!r} is malformed: {fault}") from error
    report = Report(
        title="Training explained",
        run_name=source.label,
        generated_at=datetime.now(UTC),
        overview=_overview(source, output),
        warnings=answer["notes"],
        training=output,
        configuration={"Found": answer["parts"]},
        commands=_commands(source, output, settings),
        sagemaker_rules=theirs,
    )
    write_report(folder / REPORT_FILE, report)
    write_json(folder / MARKER_FILE, {"source": source.label, **answer})


def _overview(source: Source, output: TrainingOutput) -> list[tuple[str, object]]:
    saved, summary = output.saved_tensors, output.summary
    steps = summary.get("steps") or {}
    model = output.training.get("arguments", {}).get("model")
    rows = [
        ("Explained", source.label),
        ("Model", model),
        ("Saved by", saved.get("source")),
        ("Training steps seen", steps.get("TRAIN")),
        ("Validation steps seen", steps.get("EVAL")),
        ("Saved tensors", len(saved.get("tensors") or []) or None),
        ("System samples", len(output.system) or None),
    ]
    return [(name, value) for name, value in rows if value is not None]


def _commands(source: Source, output: TrainingOutput, settings: Settings) -> list[tuple[str, str]]:
    verdict = output.findings.verdict
    if source.run is None or verdict is None:
        return []
    parameters = read_run(settings, source.run).parameters
    return change_commands(source.run, parameters, verdict.change)


def _replace(target: Path, new: Path) -> None:
    """Put a whole folder in the place of an earlier one."""
    if target.exists():
        old = new.with_name("old")
        target.rename(old)
        new.rename(target)
        shutil.rmtree(old)
    else:
        new.rename(target)
