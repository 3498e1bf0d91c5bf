"""The files of a training job's output folder as typed frames and values.

This is the only module of the package that knows where a job's files lie. A missing file gives an
empty frame (a failed job keeps what it has, an older one wrote less). A malformed file raises
``ValueError`` naming the file and the line, because a report must not show half a table as a whole
one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from dashboards.files.findings import Findings, read_findings
from dashboards.files.histograms import Histogram, read_histograms
from dashboards.files.mistakes import Mistake, read_mistakes
from dashboards.files.pictures import PictureFindings, read_picture_findings
from dashboards.files.reading import empty_frame, read_csv, read_json_lines, read_object
from sm_entrypoints import contract
from sm_entrypoints.contract.tensor_records import REDUCTION_COLUMNS

SYSTEM_COLUMNS = ("timestamp", "dimension", "name", "value")
_SYSTEM_MEMBERS = {
    "Timestamp": "timestamp",
    "Dimension": "dimension",
    "Name": "name",
    "Value": "value",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingOutput:
    """What one training job left behind; empty frames and None stand for missing files.

    ``metrics``, ``predictions``, ``steps``, ``reductions``, ``workers`` and ``operators`` have the
    columns of the files' contract (phases, losses, times as floats, seconds). ``system`` is long:
    ``timestamp`` (unix seconds), ``dimension``, ``name``, ``value`` (per cent for CPU, memory and
    I/O wait, bytes for ProcessMemoryBytes). ``trace_bytes`` is the size of the operators' trace;
    ``pictures`` is what a frozen backbone's features told, None where nobody asked.
    """

    metrics: pd.DataFrame
    evaluation: Mapping[str, Any] | None
    predictions: pd.DataFrame
    mistakes: Sequence[Mistake]
    steps: pd.DataFrame
    system: pd.DataFrame
    reductions: pd.DataFrame
    summary: Mapping[str, Any]
    training: Mapping[str, Any]
    workers: pd.DataFrame = field(default_factory=partial(empty_frame, contract.WORKER_COLUMNS))
    operators: pd.DataFrame = field(default_factory=partial(empty_frame, contract.OPERATOR_COLUMNS))
    histograms: Sequence[Histogram] = ()
    saved_tensors: Mapping[str, Any] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    pictures: PictureFindings | None = None
    trace_bytes: int | None = None


def read_training_output(folder: Path, system_folder: Path | None = None) -> TrainingOutput:
    """Return what the job wrote into ``folder`` (the extracted output.tar.gz).

    Args:
        folder: holds metrics.jsonl and the rest of ``sm_entrypoints.contract``'s names.
        system_folder: holds ``<YYYYMMDDHH>/*.json`` of the system sampler; by default
            ``contract.SYSTEM_FOLDER`` below ``folder``.

    Raises:
        ValueError: a file is not in its format; names the file and, where there is one, the line.
        OSError: a file exists and cannot be read.

    Example:
        >>> from dashboards.files.frames import read_training_output
        >>> output = read_training_output(folder)
        >>> list(output.metrics.columns[:3])
        ['epoch', 'split', 'loss']
        >>> output.evaluation["accuracy"]
        0.755
    """
    inner = folder / contract.INSTRUMENTATION_FOLDER
    trace = inner / contract.TRACE_FILE
    return TrainingOutput(
        metrics=read_json_lines(
            [folder / contract.METRICS_FILE], contract.METRIC_COLUMNS, _check_metric
        ),
        evaluation=_read_evaluation(folder / contract.EVALUATION_FILE),
        predictions=read_csv(folder / contract.PREDICTIONS_FILE, contract.PREDICTION_COLUMNS),
        mistakes=read_mistakes(folder, folder / contract.MISTAKES_FILE),
        steps=read_csv(
            inner / contract.STEPS_FILE,
            contract.STEP_COLUMNS,
            absent={"network": contract.WHOLE_NETWORK},
        ),
        system=_read_system(system_folder or folder / contract.SYSTEM_FOLDER),
        reductions=read_json_lines([inner / contract.REDUCTIONS_FILE], REDUCTION_COLUMNS),
        summary=read_object(inner / contract.INSTRUMENTATION_SUMMARY_FILE) or {},
        training=read_object(folder / contract.TRAINING_SUMMARY_FILE) or {},
        workers=read_csv(inner / contract.WORKERS_FILE, contract.WORKER_COLUMNS),
        operators=read_csv(inner / contract.OPERATORS_FILE, contract.OPERATOR_COLUMNS),
        histograms=read_histograms(inner / contract.HISTOGRAMS_FILE),
        saved_tensors=read_object(inner / contract.SAVED_TENSORS_FILE) or {},
        findings=read_findings(inner / contract.RULES_FILE, inner / contract.VERDICT_FILE),
        pictures=read_picture_findings(folder),
        trace_bytes=trace.stat().st_size if trace.is_file() else None,
    )


def empty_training_output() -> TrainingOutput:
    """Return the output of a job that wrote nothing: every frame with its columns, no rows."""
    return TrainingOutput(
        metrics=empty_frame(contract.METRIC_COLUMNS),
        evaluation=None,
        predictions=empty_frame(contract.PREDICTION_COLUMNS),
        mistakes=(),
        steps=empty_frame(contract.STEP_COLUMNS),
        system=empty_frame(SYSTEM_COLUMNS),
        reductions=empty_frame(REDUCTION_COLUMNS),
        summary={},
        training={},
    )


def _check_metric(row: Mapping[str, Any]) -> str | None:
    if row.get("split") not in contract.SPLITS:
        return f"split must be one of {list(contract.SPLITS)}, but got {row.get('split')!r}"
    epoch = row.get("epoch")
    if not isinstance(epoch, int) or epoch < 1:
        return f"epoch must be a whole number from 1, but got {epoch!r}"
    return None


def _read_evaluation(path: Path) -> dict[str, Any] | None:
    evaluation = read_object(path)
    if evaluation is None:
        return None
    classes, confusion = evaluation.get("classes"), evaluation.get("confusion")
    if not isinstance(classes, list) or not isinstance(confusion, list):
        raise ValueError(f"{path}: 'classes' and 'confusion' must be lists")
    rows = [len(row) if isinstance(row, list) else -1 for row in confusion]
    if rows != [len(classes)] * len(classes):
        raise ValueError(
            f"{path}: 'confusion' must be {len(classes)} rows of {len(classes)} counts"
        )
    return evaluation


def _read_system(folder: Path) -> pd.DataFrame:
    frame = read_json_lines(sorted(folder.glob("*/*.json")), _SYSTEM_MEMBERS)
    if frame["timestamp"].is_monotonic_increasing:
        return frame
    return frame.sort_values("timestamp", kind="stable", ignore_index=True)
