import numpy as np
import pytest

from dashboards.figures.theme import message_of
from dashboards.figures.training import (
    class_scores_figure,
    confidence_figure,
    confusion_figure,
    get_class_scores_info,
    get_confidence_info,
    get_confusion_info,
    most_confused,
)
from dashboards.files.frames import empty_training_output

EMPTY = empty_training_output()


@pytest.mark.parametrize(
    "figure",
    [
        confusion_figure(get_confusion_info(None)),
        confusion_figure(get_confusion_info({"classes": [], "confusion": []})),
        class_scores_figure(get_class_scores_info(None)),
        confidence_figure(get_confidence_info(EMPTY.predictions)),
    ],
)
def test_nothing_to_show_is_a_sentence(figure):
    assert message_of(figure)


def test_confusion_shares_are_of_the_true_class():
    evaluation = {"classes": ["a", "b", "c"], "confusion": [[3, 1, 0], [0, 2, 0], [0, 0, 0]]}
    info = get_confusion_info(evaluation)
    assert info.shares == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]]
    assert most_confused(info) == [("a", "b", 1, 0.25)]


@pytest.mark.parametrize("size", [2, 20, 133])
def test_confusion_stays_readable(size):
    classes = [f"class number {n:03d} with a long name indeed" for n in range(size)]
    counts = np.eye(size, dtype=int).tolist()
    figure = confusion_figure(get_confusion_info({"classes": classes, "confusion": counts}))
    (heatmap,) = figure.data
    assert bool(heatmap.texttemplate) == (size <= 20)
    ticks = figure.layout.xaxis.tickvals
    assert len(ticks) * 12 <= figure.layout.height
    assert figure.layout.height <= 1_060
    # Names that are cut to one text stay apart.
    assert len(set(heatmap.x)) == size


def test_class_scores_show_the_weakest_first_and_count_the_rest():
    rows = [
        {"label": f"c{n}", "precision": 1.0, "recall": n / 50, "f1": n / 50, "support": n}
        for n in range(50)
    ]
    info = get_class_scores_info({"per_class": list(reversed(rows))})
    assert info.labels[:2] == ["c0", "c1"]
    assert (len(info.labels), info.hidden) == (40, 10)
    assert len(class_scores_figure(info).data) == 2


def test_confidence_counts_by_probability(output):
    info = get_confidence_info(output.predictions)
    assert sum(info.counts) == 400
    right = sum(c * a for c, a in zip(info.counts, info.accuracies, strict=True) if c)
    assert right == pytest.approx(output.predictions["correct"].sum())
    assert len(confidence_figure(info).data) == 2


def test_a_probability_of_one_falls_into_the_last_bin(output):
    rows = output.predictions.head(1).assign(probability=1.0, correct=1.0)
    assert get_confidence_info(rows).counts[-1] == 1
