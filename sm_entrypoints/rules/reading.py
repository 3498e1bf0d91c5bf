"""Read what a training job left in its output folder as :class:`Evidence`.

Files that are missing, half written (a killed job) or of an older version read as not recorded:
rules then say that they do not apply. Formats: :mod:`sm_entrypoints.contract`.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from sm_entrypoints.contract import (
    EVALUATION_FILE,
    INSTRUMENTATION_FOLDER,
    INSTRUMENTATION_SUMMARY_FILE,
    METRICS_FILE,
    REDUCTIONS_FILE,
    STEP_COLUMNS,
    STEPS_FILE,
    SYSTEM_FOLDER,
    TRAINING_SUMMARY_FILE,
    WHOLE_NETWORK,
    WORKER_COLUMNS,
    WORKERS_FILE,
)
from sm_entrypoints.contract.tensor_records import REDUCTION_COLUMNS, TensorRecord
from sm_entrypoints.rules.evidence import Evidence, Series

_LARGEST = sys.float_info.max
_RECORD_MEMBERS = frozenset(REDUCTION_COLUMNS)
_RECORD_TEXTS = ("mode", "collection", "name")


def read_evidence(folder: Path) -> Evidence:
    """Return the evidence in a job's output folder: what ``output.tar.gz`` holds.

    Raises:
        OSError: a file is there but cannot be read.
    """
    inside = folder / INSTRUMENTATION_FOLDER
    job, summary = (
        read_object(path) or {}
        for path in (folder / TRAINING_SUMMARY_FILE, inside / INSTRUMENTATION_SUMMARY_FILE)
    )
    system = read_system(folder / SYSTEM_FOLDER)
    return Evidence(
        records=list(_records(inside / REDUCTIONS_FILE)),
        system=system,
        steps=_read_steps(inside / STEPS_FILE),
        workers=read_table(inside / WORKERS_FILE, WORKER_COLUMNS),
        epochs=list(_objects(folder / METRICS_FILE)),
        evaluation=read_object(folder / EVALUATION_FILE),
        class_counts=_class_counts(job),
        job=job,
        summary=summary,
        cores=_cores(summary, system),
    )


def _read_steps(path: Path) -> dict[str, NDArray[Any]]:
    """Return the columns of ``steps.csv``; of one that does not tell what ran, too."""
    table = read_table(path, STEP_COLUMNS, texts=("mode", "network"))
    if table:
        return table
    table = read_table(path, tuple(n for n in STEP_COLUMNS if n != "network"), texts=("mode",))
    if table:
        table["network"] = np.full(len(table["mode"]), WHOLE_NETWORK)
    return table


def read_object(path: Path) -> dict[str, Any] | None:
    """Return a JSON object; None when there is no such file or it is cut off."""
    try:
        document = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def read_table(
    path: Path, columns: tuple[str, ...], texts: tuple[str, ...] = ()
) -> dict[str, NDArray[Any]]:
    """Return the columns of a CSV without quotes by name; {} when there is no such file or row.

    An incomplete last line is dropped, as is a row with a different number of cells or with a cell
    that is not a number. Columns of the file that are not in ``columns`` are left out.
    """
    try:
        content = path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    lines = content[: content.rfind("\n") + 1].splitlines()
    header = lines[0].split(",") if lines else []
    if not set(columns) <= set(header):
        return {}
    rows = [cells for line in lines[1:] if len(cells := line.split(",")) == len(header)]
    wanted = [header.index(name) for name in columns]
    try:
        return _columns(rows, wanted, columns, texts)
    except ValueError:
        sound = [row for row in rows if _numeric(row, wanted, columns, texts)]
        return _columns(sound, wanted, columns, texts)


def _columns(
    rows: list[list[str]], wanted: list[int], columns: tuple[str, ...], texts: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    if not rows:
        return {}
    table = {}
    for index, name in zip(wanted, columns, strict=True):
        cells = [row[index] for row in rows]
        table[name] = np.array(cells, dtype=np.str_ if name in texts else np.float64)
    return table


def _numeric(
    row: list[str], wanted: list[int], columns: tuple[str, ...], texts: tuple[str, ...]
) -> bool:
    try:
        _columns([row], wanted, columns, texts)
    except ValueError:
        return False
    return True


def read_system(folder: Path) -> list[Series]:
    """Return the series of a folder in the layout of SageMaker's profiler, each in time's order."""
    points: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for path in sorted(folder.rglob("*.json")) if folder.is_dir() else ():
        for line in _objects(path):
            if not (is_number(line.get("Value")) and is_number(line.get("Timestamp"))):
                continue
            names = (line.get("NodeId"), line.get("Dimension"), line.get("Name"))
            node, dimension, name = (str(text or "") for text in names)
            points[node, dimension, name].append((line["Timestamp"], line["Value"]))
    return [_series(key, pairs) for key, pairs in sorted(points.items())]


def _series(key: tuple[str, str, str], pairs: list[tuple[float, float]]) -> Series:
    node, dimension, name = key
    moments, values = np.array(pairs, dtype=np.float64).T
    order = np.argsort(moments, kind="stable")
    return Series(
        node=node,
        dimension=dimension,
        name=name,
        timestamps=moments[order],
        values=values[order],
    )


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file of lines; what cannot be parsed is passed over."""
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return
    with file:
        for line in file:
            try:
                document = json.loads(line)
            except ValueError:
                continue
            if isinstance(document, dict):
                yield document


def _records(path: Path) -> Iterator[TensorRecord]:
    for line in _objects(path):
        texts = all(isinstance(line.get(name), str) for name in _RECORD_TEXTS)
        if texts and is_number(line.get("step")) and is_number(line.get("epoch")):
            yield TensorRecord(**{key: line[key] for key in line.keys() & _RECORD_MEMBERS})


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value of JSON is a finite number."""
    # By comparing: a whole number of 400 digits has no float to ask about.
    return isinstance(value, int | float) and -_LARGEST <= value <= _LARGEST


def _class_counts(job: Mapping[str, Any]) -> dict[str, int]:
    counts = job.get("class_counts")
    return {str(label): int(n) for label, n in counts.items()} if isinstance(counts, dict) else {}


def _cores(summary: Mapping[str, Any], system: list[Series]) -> int:
    """Return the cores that the job may use, else those that the sampler saw on the first node."""
    told = summary.get("cores")
    if isinstance(told, int) and told > 0:
        return told
    seen = [(series.node, series.name) for series in system if series.dimension == "CPUUtilization"]
    return sum(node == seen[0][0] for node, _ in seen)
