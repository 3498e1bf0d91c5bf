"""A job's text files as columns: JSON lines, CSV and JSON objects; strict, fast on long files.

Malformed content raises ``ValueError`` naming the file and, if there is one, the line. An
incomplete last line of a JSON lines file is dropped: a killed job leaves one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd

from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.contract.strangers.tables import as_written

# Few different values in many rows: kept as categories, which compare a hundred times faster.
_CATEGORIES = frozenset({"split", "mode", "network", "collection", "name", "dimension"})
_TEXTS = frozenset({"path", "label", "predicted"})
# Parsed objects weigh ten times their text; a chunk of them stays in the processor's cache.
_CHUNK_BYTES = 131_072

Row = Mapping[str, Any]


class _Codes(dict[Any, int]):
    """Gives every new value the next number."""

    def __missing__(self, value: Any) -> int:
        self[value] = number = len(self)
        return number


class _Column:
    """A column that grows by runs of values: numbers, texts, or texts of few kinds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: list[Any] = []
        self._codes = _Codes()

    def extend(self, values: Sequence[Any], path: Path, first: int) -> None:
        """Add values whose first one stands in line ``first`` of ``path``."""
        if self._name in _CATEGORIES:
            codes = map(self._codes.__getitem__, map(_plain_text, values))
            self._parts.append(np.fromiter(codes, dtype="int32", count=len(values)))
        elif self._name in _TEXTS:
            self._parts.append(list(map(_plain_text, values)))
        else:
            self._parts.append(_numbers(values, self._name, path, first))

    def joined(self) -> Any:
        """Return everything that was added as one array."""
        if self._name in _TEXTS:
            return pd.array([value for part in self._parts for value in part], dtype="str")
        if self._name in _CATEGORIES:
            codes = np.concatenate([np.empty(0, dtype="int32"), *self._parts])
            return pd.Categorical.from_codes(codes, categories=pd.Index(list(self._codes)))
        return np.concatenate(self._parts) if self._parts else np.empty(0)


def read_json_lines(
    paths: Sequence[Path],
    members: Mapping[str, str] | Sequence[str],
    check: Callable[[Row], str | None] | None = None,
) -> pd.DataFrame:
    """Return the objects of JSON lines files as one frame, in the order of the files.

    Args:
        paths: files; one that does not exist counts as empty.
        members: the objects' members to keep, with their columns' names when these differ; one
            that an object lacks is NaN, or an empty text.
        check: returns what is wrong with an object, or None.
    """
    names = members if isinstance(members, Mapping) else {name: name for name in members}
    columns = {column: _Column(column) for column in names.values()}
    for path in paths:
        for first, rows in json_rows(path):
            if check is not None:
                _check(rows, check, path, first)
            for column, values in zip(columns.values(), _cells(rows, tuple(names)), strict=True):
                column.extend(values, path, first)
    return pd.DataFrame({name: column.joined() for name, column in columns.items()})


def json_rows(path: Path) -> Iterator[tuple[int, list[Row]]]:
    """Yield a JSON lines file's objects, a few megabytes at a time, with the first one's line."""
    number = 1
    for chunk in _chunks(path) if path.is_file() else ():
        rows = _parsed(chunk, path, number)
        for place, row in enumerate(rows):
            if not isinstance(row, dict):
                where = f"{path}, line {number + place}"
                raise ValueError(f"{where}: must be a JSON object, but got {row!r:.80}")
        yield number, rows
        number += len(rows)


def read_csv(
    path: Path, columns: Sequence[str], *, absent: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Return the ``columns`` of a CSV file with a head; without the file, none of its rows.

    ``absent`` are columns that files of earlier versions lack, with what they would hold.
    """
    if not path.is_file():
        return empty_frame(columns)
    texts = _CATEGORIES | _TEXTS
    # Names such as "NA" or "001" are classes, not missing values or numbers.
    kinds: dict[str, Any] = {name: str for name in columns if name in _TEXTS}
    kinds |= {name: "category" for name in columns if name in _CATEGORIES}
    gaps = {name: ["", "nan", "NaN"] for name in columns if name not in texts}
    try:
        frame = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=gaps)
    except pd.errors.EmptyDataError:
        return empty_frame(columns)
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a CSV file: {error}") from error
    frame = _with_columns(frame, columns, absent or {}, path)
    for name in texts.intersection(columns):
        frame = frame.assign(**{name: frame[name].map(as_written).astype(kinds[name])})
    for name in columns:
        if name not in texts and frame[name].dtype != "float64":
            frame = frame.assign(**{name: _numbers(frame[name].tolist(), name, path, 2)})
    return frame


def _with_columns(
    frame: pd.DataFrame, columns: Sequence[str], absent: Mapping[str, str], path: Path
) -> pd.DataFrame:
    for name, value in absent.items():
        if name not in frame.columns:
            frame[name] = pd.Categorical([value] * len(frame), categories=[value])
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(
            f"{path}, line 1: columns {missing} are missing, got {list(frame.columns)}"
        )
    return frame[list(columns)]


def read_object(path: Path) -> dict[str, Any] | None:
    """Return the object of a JSON file, None when there is no such file."""
    if not path.is_file():
        return None
    try:
        value = json.loads(_text(path.read_bytes(), path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}, line 1: must be a JSON object, but got {value!r:.80}")
    return value


def empty_frame(columns: Sequence[str]) -> pd.DataFrame:
    """Return a frame without rows whose columns have the types that reading gives them."""
    return pd.DataFrame({column: _Column(column).joined() for column in columns})


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield runs of whole lines without the last newline, then a whole last line without one."""
    rest = b""
    with path.open("rb") as file:
        while block := file.read(_CHUNK_BYTES):
            whole, newline, tail = block.rpartition(b"\n")
            if newline:
                yield rest + whole
                rest = tail
            else:
                rest += tail
    if rest and _is_json(rest):
        yield rest


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _parsed(chunk: bytes, path: Path, first: int) -> list[Any]:
    # One call is several times faster than one a line.
    joined = b"[" + chunk.replace(b"\n", b",") + b"]"
    lines = chunk.count(b"\n") + 1
    # The standard library's parser reads what Python also writes: NaN, very large whole numbers.
    for parse in (orjson.loads, json.loads):
        try:
            rows: list[Any] = parse(joined)
        except ValueError:
            continue
        if len(rows) == lines:
            return rows
    return _parsed_slowly(_text(chunk, path), path, first)


def _parsed_slowly(text: str, path: Path, first: int) -> list[Any]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=first):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number}: not JSON ({clause(error)}): {line!r:.80}"
            ) from error
    return rows


def _check(rows: Sequence[Row], check: Callable[[Row], str | None], path: Path, first: int) -> None:
    for number, row in enumerate(rows, start=first):
        fault = check(row)
        if fault:
            raise ValueError(f"{path}, line {number}: {fault}")


def _numbers(values: Sequence[Any], column: str, path: Path, first: int) -> npt.NDArray[np.float64]:
    if values and values[0] is None and values.count(None) == len(values):
        return np.full(len(values), np.nan)  # as below, faster
    try:
        numbers = np.array(values, dtype="float64")  # None is NaN
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty((0, 0))
    if numbers.ndim == 1:
        return numbers
    bad, value = next((n, v) for n, v in enumerate(values) if not _is_number(v))
    raise ValueError(
        f"{path}, line {first + bad}: {column!r} must be a number, but got {value!r:.80}"
    )


def _is_number(value: Any) -> bool:
    try:
        float(0 if value is None else value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _cells(rows: Sequence[Row], members: tuple[str, ...]) -> Iterable[Sequence[Any]]:
    if len(members) == 1:
        return [[row.get(members[0]) for row in rows]]
    try:
        return zip(*map(itemgetter(*members), rows), strict=True)
    except KeyError:  # an object of an older or a killed job lacks a member
        return [[row.get(member) for row in rows] for member in members]


def _plain_text(value: Any) -> str:
    return value if type(value) is str else "" if value is None else str(value)


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text: {error}") from error


Floats = npt.NDArray[np.float64]
