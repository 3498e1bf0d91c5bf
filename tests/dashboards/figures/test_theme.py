import pytest

from dashboards.figures.theme import (
    epoch_axis,
    message_figure,
    message_of,
    name_axis,
    new_figure,
    plain,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"), ("a & b's", "a &amp; b's"), (1, "1"), ("x" * 70, None)],
)
def test_labels_are_shown_letter_for_letter(value, shown):
    assert plain(value) == (shown or "x" * 59 + "…")


def test_a_message_is_found_again():
    assert message_of(message_figure("Nothing <yet>.")) == "Nothing <yet>."
    assert message_of(new_figure()) is None


@pytest.mark.parametrize(("epochs", "step"), [([], 1), ([1, 2, 3], 1), (range(40), None)])
def test_epochs_are_never_halved(epochs, step):
    assert epoch_axis(epochs)["dtick"] == step


def test_names_are_thinned_out_when_there_is_no_room():
    names = [str(n) for n in range(133)]
    assert len(name_axis(names)["tickvals"]) == 133
    assert name_axis(names, pixels=600)["tickvals"][:3] == [0, 3, 6]
    long = ["a" * 40 + ".weight"]
    assert name_axis(long, keep_end=True)["ticktext"] == ["…" + "a" * 20 + ".weight"]
    assert name_axis([], pixels=600)["tickvals"] == []
