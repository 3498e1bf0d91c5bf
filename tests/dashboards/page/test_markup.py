import pytest

from dashboards.figures.theme import message_figure, new_figure
from dashboards.files.mistakes import Mistake
from dashboards.page.markup import (
    callout,
    facts,
    folded,
    grid,
    paragraph,
    pictures,
    plot,
    shown,
    table,
)

HOSTILE = "<script>alert('x')</script>\"&"
SAFE = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot;&amp;"


def test_every_piece_escapes_what_comes_from_outside():
    mistake = Mistake(
        path=HOSTILE, label=HOSTILE, predicted=HOSTILE, probability=0.5, picture=b"", media_type=""
    )
    blocks = [
        paragraph(HOSTILE),
        facts([(HOSTILE, HOSTILE)]),
        table([HOSTILE], [[HOSTILE]]),
        callout(HOSTILE, [(HOSTILE, HOSTILE)]),
        folded(HOSTILE, paragraph(HOSTILE)),
        pictures([mistake]),
        plot("x", HOSTILE, new_figure(), HOSTILE),
        plot("y", HOSTILE, message_figure(HOSTILE)),
    ]
    for block in blocks:
        assert SAFE in block.markup
        assert "<script" not in block.markup


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (float("nan"), "—"),
        ("", "—"),
        (True, "true"),
        (0, "0"),
        (1234567, "1,234,567"),
        (32.0, "32"),
        (0.000123456, "0.0001235"),
        (float("inf"), "inf"),
        ({"a": [1, "é"]}, '{"a": [1, "é"]}'),
    ],
)
def test_values_read_well(value, text):
    assert shown(value) == text


def test_a_figure_becomes_a_slot_and_a_message_a_sentence():
    slot = plot("curve", "Loss", new_figure(height=222))
    assert 'id="curve"' in slot.markup
    assert "height:222px" in slot.markup
    assert list(slot.figures) == ["curve"]
    sentence = plot("curve", "Loss", message_figure("Nothing."))
    assert (sentence.figures, "Nothing." in sentence.markup) == ({}, True)
    assert list(grid(slot, sentence).figures) == ["curve"]


def test_tables_mark_a_row_and_align_numbers():
    markup = table(["name", "n"], [["a", 1], ["b", 2]], marked=1).markup
    assert '<tr class="marked"><td>b</td><td class="number">2</td></tr>' in markup
    assert table(["name"], []).markup.count("<td") == 0
    assert callout("Warnings", []).markup == ""
