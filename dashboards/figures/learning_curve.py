"""The figure of accuracy by the number of pictures that were learned from."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from dashboards.figures.theme import BLUE, ORANGE, message_figure, new_figure
from dashboards.files.pictures import LearningCurve

NO_CURVE = "There are too few pictures for a learning curve, or there was no time for it."


class LearningCurveInfo(NamedTuple):
    """Measured accuracies (0..1) with standard errors by pictures, and what twice as many bring."""

    pictures: list[int]
    accuracies: list[float]
    errors: list[float]
    foretold: tuple[int, float, float] | None = None
    message: str | None = None


def get_learning_curve_info(curve: LearningCurve | None) -> LearningCurveInfo:
    """Return the points of a curve; ``foretold`` is (pictures, accuracy, ±) of the next one."""
    if curve is None or not curve.points:
        return LearningCurveInfo([], [], [], None, NO_CURVE)
    last = curve.points[-1]
    foretold = None
    if curve.gain is not None and curve.spread is not None:
        foretold = (2 * last.pictures, min(1.0, last.accuracy + curve.gain), curve.spread)
    return LearningCurveInfo(
        [point.pictures for point in curve.points],
        [point.accuracy for point in curve.points],
        [point.error for point in curve.points],
        foretold,
    )


def learning_curve_figure(info: LearningCurveInfo) -> go.Figure:
    """Return the curve over a logarithmic number of pictures, its forecast dashed."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure()
    figure.add_scatter(
        x=info.pictures,
        y=info.accuracies,
        error_y={"type": "data", "array": info.errors, "thickness": 1.2, "width": 4},
        name="measured",
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        hovertemplate="%{x:,} pictures<br>%{y:.1%} right<extra></extra>",
    )
    ticks = list(info.pictures)
    if info.foretold:
        pictures, accuracy, spread = info.foretold
        ticks.append(pictures)
        figure.add_scatter(
            x=[info.pictures[-1], pictures],
            y=[info.accuracies[-1], accuracy],
            error_y={"type": "data", "array": [0, spread], "thickness": 1.2, "width": 4},
            name="twice as many",
            mode="lines+markers",
            line={"color": ORANGE, "width": 2, "dash": "dash"},
            hovertemplate="%{x:,} pictures<br>about %{y:.1%} right<extra></extra>",
        )
    figure.update_xaxes(
        title_text="pictures learned from",
        type="log",
        tickvals=ticks,
        ticktext=[f"{n:,}" for n in ticks],
    )
    figure.update_yaxes(title_text="accuracy on others", tickformat=".0%")
    return figure
