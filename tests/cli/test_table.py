from __future__ import annotations

from cli.table import print_table


def test_columns_are_aligned_and_lines_end_without_blanks(capsys):
    rows = [{"name": "a", "status": "InProgress"}, {"name": "long-name", "status": "Failed"}]
    print_table(rows, empty="none")
    assert capsys.readouterr().out == (
        "name       status\na          InProgress\nlong-name  Failed\n"
    )


def test_no_rows(capsys):
    print_table([], empty="no jobs")
    assert capsys.readouterr().out == "no jobs\n"
