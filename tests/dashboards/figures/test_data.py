import pytest

from dashboards.figures.data import (
    class_counts_figure,
    get_class_counts_info,
    get_sizes_info,
    sizes_figure,
)
from dashboards.figures.theme import message_of
from tests.worlds.sample_output import data_check


@pytest.mark.parametrize("data", [None, {}, {"splits": {}, "sizes": {}}])
def test_no_check_is_a_sentence(data):
    assert message_of(class_counts_figure(get_class_counts_info(data)))
    assert message_of(sizes_figure(get_sizes_info(data)))


def test_counts_are_per_class_and_split_largest_class_first():
    data = data_check()
    info = get_class_counts_info(data)
    totals = [sum(counts) for counts in zip(*info.counts.values(), strict=True)]
    assert totals == sorted(totals, reverse=True)
    assert sum(totals) == sum(split["images"] for split in data["splits"].values())
    assert [trace.name for trace in class_counts_figure(info).data] == ["train", "valid", "test"]


def test_a_class_without_images_is_shown_with_none():
    info = get_class_counts_info(
        {"classes": ["a", "b"], "splits": {"train": {"per_class": {"a": 2}}}}
    )
    assert (info.classes, info.counts) == (["a", "b"], {"train": [2, 0]})


@pytest.mark.parametrize(("size", "orientation"), [(40, "h"), (133, "v")])
def test_many_classes_stand_up(size, orientation):
    figure = class_counts_figure(get_class_counts_info(data_check([f"c{n}" for n in range(size)])))
    assert figure.data[0].orientation == orientation
    assert figure.layout.height < 1_000


def test_sizes_are_ranges():
    info = get_sizes_info(data_check())
    assert info.ranges == {"width": (120, 310, 640), "height": (96, 280, 1024)}
    assert len(sizes_figure(info).data) == 2
