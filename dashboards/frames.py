"""The files of a training job's output folder as typed frames and values.

The only module of this package that reads what a job wrote. A file that is missing gives an empty
frame (a failed job keeps what it has); a file that is malformed raises ``ValueError`` naming the
file and the line, because a report must not show half a table as if it were whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dashboards.mistakes import Mistake, read_mistakes
from sm_entrypoints import contract

METRIC_COLUMNS = (
    "epoch",
    "split",
    "loss",
    "accuracy",
    "top5_accuracy",
    "samples",
    "seconds",
    "learning_rate",
)
PREDICTION_COLUMNS = (
    "path",
    "label",
    "predicted",
    "probability",
    "label_probability",
    "loss",
    "correct",
)
REDUCTION_COLUMNS = (
    "step",
    "epoch",
    "mode",
    "collection",
    "name",
    "mean",
    "std",
    "min",
    "max",
    "abs_mean",
    "p5",
    "p95",
    "zero_fraction",
    "nan",
    "inf",
)
SYSTEM_COLUMNS = ("timestamp", "dimension", "name", "value")

_TEXT_COLUMNS = {"split", "mode", "collection", "name", "path", "label", "predicted", "dimension"}
_TEXT_COLUMNS |= {"Name", "Dimension"}
_SYSTEM_MEMBERS = {
    "Timestamp": "timestamp",
    "Dimension": "dimension",
    "Name": "name",
    "Value": "value",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingOutput:
    """What one training job left behind; empty frames and None stand for missing files.

    ``metrics``, ``predictions``, ``steps`` and ``reductions`` have the columns of the files'
    contract (phases and losses as floats, seconds). ``system`` is long: ``timestamp`` (unix
    seconds), ``dimension``, ``name``, ``value`` (per cent for CPU, memory and I/O wait).
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


def read_training_output(folder: Path, system_folder: Path | None = None) -> TrainingOutput:
    """Return what the job wrote into ``folder`` (the extracted output.tar.gz).

    Args:
        folder: holds metrics.jsonl and the rest of ``sm_entrypoints.contract``'s names.
        system_folder: holds ``<YYYYMMDDHH>/*.json`` of the system sampler; by default
            ``contract.SYSTEM_FOLDER`` below ``folder``.

    Raises:
        ValueError: a file is not in its format; names the file and, where there is one, the line.
        OSError: a file exists and cannot be read.
    """
    instrumentation = folder / contract.INSTRUMENTATION_FOLDER
    return TrainingOutput(
        metrics=_read_json_lines(folder / contract.METRICS_FILE, METRIC_COLUMNS, _check_metric),
        evaluation=_read_evaluation(folder / contract.EVALUATION_FILE),
        predictions=_read_csv(folder / contract.PREDICTIONS_FILE, PREDICTION_COLUMNS),
        mistakes=read_mistakes(folder, folder / contract.MISTAKES_FILE),
        steps=_read_csv(instrumentation / contract.STEPS_FILE, contract.STEP_COLUMNS),
        system=_read_system(system_folder or folder / contract.SYSTEM_FOLDER),
        reductions=_read_json_lines(
            instrumentation / contract.REDUCTIONS_FILE, REDUCTION_COLUMNS, None
        ),
        summary=_read_object(instrumentation / contract.INSTRUMENTATION_SUMMARY_FILE) or {},
        training=_read_object(folder / contract.TRAINING_SUMMARY_FILE) or {},
    )


def empty_training_output() -> TrainingOutput:
    """Return the output of a job that wrote nothing: every frame with its columns, no rows."""
    return TrainingOutput(
        metrics=_frame([], METRIC_COLUMNS, Path(contract.METRICS_FILE)),
        evaluation=None,
        predictions=_frame([], PREDICTION_COLUMNS, Path(contract.PREDICTIONS_FILE)),
        mistakes=(),
        steps=_frame([], contract.STEP_COLUMNS, Path(contract.STEPS_FILE)),
        system=_frame([], SYSTEM_COLUMNS, Path(contract.SYSTEM_FOLDER)),
        reductions=_frame([], REDUCTION_COLUMNS, Path(contract.REDUCTIONS_FILE)),
        summary={},
        training={},
    )


def _read_json_lines(
    path: Path, columns: Sequence[str], check: Callable[[Mapping[str, Any]], str | None] | None
) -> pd.DataFrame:
    rows = _json_rows(path) if path.is_file() else []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise ValueError(f"{path}, line {number}: a JSON object is needed, but got {row!r:.80}")
        fault = check(row) if check else None
        if fault:
            raise ValueError(f"{path}, line {number}: {fault}")
    return _frame(rows, columns, path)


def _json_rows(path: Path) -> list[Any]:
    lines = _text(path).split("\n")
    # A job that was killed may leave half a line at the end; every whole line ends in a newline.
    rest = lines.pop()
    if rest and _is_json(rest):
        lines.append(rest)
    try:
        # One call is several times faster than one a line.
        rows: list[Any] = json.loads(f"[{','.join(lines)}]")
    except ValueError:
        rows = []
    return rows if len(rows) == len(lines) else _json_rows_slowly(path, lines)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _json_rows_slowly(path: Path, lines: Iterable[str]) -> list[Any]:
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not JSON ({error}): {line!r:.80}") from error
    return rows


def _check_metric(row: Mapping[str, Any]) -> str | None:
    if row.get("split") not in contract.SPLITS:
        return f"split must be one of {list(contract.SPLITS)}, but got {row.get('split')!r}"
    epoch = row.get("epoch")
    if not isinstance(epoch, int) or epoch < 1:
        return f"epoch must be a whole number from 1, but got {epoch!r}"
    return None


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], path: Path) -> pd.DataFrame:
    return _typed(pd.DataFrame(rows, columns=list(columns), dtype="object"), path)


def _typed(frame: pd.DataFrame, path: Path, first_line: int = 1) -> pd.DataFrame:
    for column in frame.columns:
        if column in _TEXT_COLUMNS:
            frame[column] = frame[column].astype("object").fillna("").astype(str)
            continue
        try:
            frame[column] = pd.to_numeric(frame[column]).astype("float64")
        except (TypeError, ValueError) as error:
            numbers = pd.to_numeric(frame[column].astype(str), errors="coerce")
            bad = (numbers.isna() & frame[column].notna()).to_numpy().argmax()
            raise ValueError(
                f"{path}, line {first_line + int(bad)}: {column!r} must be a number, "
                f"but got {frame[column].iloc[bad]!r:.80}"
            ) from error
    return frame


def _read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        return _frame([], columns, path)
    try:
        # Names such as "NA" or "001" are classes, not missing values or numbers.
        kinds = {column: str for column in columns if column in _TEXT_COLUMNS}
        frame = pd.read_csv(
            path,
            dtype=kinds,
            keep_default_na=False,
            na_values={
                column: ["", "nan", "NaN"] for column in columns if column not in _TEXT_COLUMNS
            },
        )
    except pd.errors.EmptyDataError:
        return _frame([], columns, path)
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a CSV file: {error}") from error
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(
            f"{path}, line 1: columns {missing} are missing, got {list(frame.columns)}"
        )
    return _typed(frame[list(columns)].copy(), path, first_line=2)


def _read_object(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        value = json.loads(_text(path))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}, line 1: a JSON object is needed, but got {value!r:.80}")
    return value


def _read_evaluation(path: Path) -> dict[str, Any] | None:
    evaluation = _read_object(path)
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
    columns = tuple(_SYSTEM_MEMBERS)
    parts = [
        _read_json_lines(path, columns, None).rename(columns=_SYSTEM_MEMBERS)
        for path in sorted(folder.glob("*/*.json"))
    ]
    if not parts:
        return _frame([], SYSTEM_COLUMNS, folder)
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values("timestamp", kind="stable", ignore_index=True)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text: {error}") from error
