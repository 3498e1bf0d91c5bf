"""CSV that people open in spreadsheets: text in it stays text, and reads back as it was.

A cell that begins with ``=``, ``+``, ``-``, ``@`` or a tab is a formula to a spreadsheet, and names
of classes and files, messages of models and hyperparameters are other people's. Such a cell gets an
apostrophe in front, which :func:`as_written` takes off again; numbers are left as they are. Not for
answers over HTTP, which programs read. Standard library only.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

# Some programs take full-width signs for the plain ones, and skip blanks before them.
_FORMULA = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@＝＋－＠])")  # noqa: RUF001
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def cell(value: object) -> object:
    """Return what to write for a value: text that a spreadsheet would compute gets an apostrophe.

    >>> from sm_entrypoints.contract.strangers.tables import cell
    >>> cell("=1+1"), cell("-1.5"), cell(-1.5), cell("cat")
    ("'=1+1", '-1.5', -1.5, 'cat')
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value) or not _FORMULA.match(value):
        return value
    return f"'{value}"


def as_written(text: str) -> str:
    """Return the text that :func:`cell` was given.

    >>> from sm_entrypoints.contract.strangers.tables import as_written
    >>> as_written("'=1+1"), as_written("'tis")
    ('=1+1', "'tis")
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text, 1) else text


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV with a head, a line each row, its text safe to open in a spreadsheet."""
    return "".join(map(_line, (columns, *rows)))


def _line(values: Iterable[object]) -> str:
    text = io.StringIO(newline="")
    # The writer quotes what its own line end holds: names of files may have both.
    csv.writer(text, lineterminator="\r\n").writerow([cell(value) for value in values])
    return text.getvalue().removesuffix("\r\n") + "\n"


def read_table(text: str) -> list[dict[str, str]]:
    """Return the rows of such CSV, by their column's name."""
    rows = csv.reader(io.StringIO(text, newline=""))
    head = [as_written(column) for column in next(rows, [])]
    return [dict(zip(head, map(as_written, row), strict=False)) for row in rows if row]
