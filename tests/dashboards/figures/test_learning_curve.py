from dashboards.figures.learning_curve import (
    NO_CURVE,
    get_learning_curve_info,
    learning_curve_figure,
)
from dashboards.figures.theme import message_of
from dashboards.files.pictures import LearningCurve
from tests.worlds.sample_output import CLASSES
from tests.worlds.sample_pictures import document


def test_the_points_and_what_follows_them():
    info = get_learning_curve_info(
        LearningCurve.model_validate(document(CLASSES)["learning_curve"])
    )
    assert info.pictures == [400, 800, 1600, 3200]
    pictures, accuracy, spread = info.foretold
    assert (pictures, round(accuracy, 3), spread) == (6400, 0.861, 0.008)
    figure = learning_curve_figure(info)
    assert [trace.name for trace in figure.data] == ["measured", "twice as many"]
    assert list(figure.layout.xaxis.tickvals) == [400, 800, 1600, 3200, 6400]


def test_a_curve_that_promises_nothing_ends_where_it_was_measured():
    curve = document(CLASSES)["learning_curve"] | {"gain": None, "spread": None}
    figure = learning_curve_figure(get_learning_curve_info(LearningCurve.model_validate(curve)))
    assert [trace.name for trace in figure.data] == ["measured"]


def test_no_curve():
    assert message_of(learning_curve_figure(get_learning_curve_info(None))) == NO_CURVE
