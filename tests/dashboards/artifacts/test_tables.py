import pytest

from dashboards.artifacts.tables import markdown_table, markdown_text


def test_numbers_align_right_and_missing_cells_are_empty():
    rows = [{"name": "a", "loss": 0.123456}, {"name": "b", "loss": None, "extra": 1}, {"name": "c"}]
    assert markdown_table(rows, {"name": "trial", "loss": "valid:loss"}) == (
        "| trial | valid:loss |\n| --- | ---: |\n| a | 0.1235 |\n| b |  |\n| c |  |\n"
    )


def test_a_hostile_cell_stays_one_cell():
    (_, _, line) = markdown_table([{"a": "x|y\n| z"}], ["a"]).splitlines()
    assert line == "| x\\|y \\| z |"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("<script>&", "&lt;script&gt;&amp;"),
        ("a_b*c`d`", "a\\_b\\*c\\`d\\`"),
        ("[x](y)", "\\[x\\](y)"),
        ("back\\slash", "back\\\\slash"),
        ("été\r\n2", "été 2"),
    ],
)
def test_text_reads_letter_for_letter(value, shown):
    assert markdown_text(value) == shown


def test_no_rows_make_a_header_and_no_columns_an_error():
    assert markdown_table([], ["a"]) == "| a |\n| --- |\n"
    with pytest.raises(ValueError, match="at least one column"):
        markdown_table([], [])
