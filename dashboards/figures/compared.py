"""Figures of two runs: one metric of both over epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import plotly.graph_objects as go

from dashboards.figures.curves import CurveInfo
from dashboards.figures.theme import (
    BLUE,
    ORANGE,
    SPLIT_DASHES,
    epoch_axis,
    message_figure,
    new_figure,
    plain,
)

# Training, validation and test as elsewhere are dashes; here a colour is a run.
_COLORS = (BLUE, ORANGE)


class ComparedCurves(NamedTuple):
    """One metric of several runs over epochs, by the names of the runs."""

    title: str
    runs: Mapping[str, CurveInfo]


def compared_curves_figure(info: ComparedCurves) -> go.Figure:
    """Return the curves of one metric, a colour a run and a dash a split."""
    figure = new_figure()
    epochs: list[float] = []
    for color, (run, curves) in zip(_COLORS, info.runs.items(), strict=False):
        for split, (x, y) in curves.lines.items():
            epochs += x
            point = split == "test" or len(x) == 1
            figure.add_scatter(
                x=x,
                y=y,
                name=plain(f"{run}, {split}"),
                mode="markers" if point else "lines",
                line={"color": color, "width": 2, "dash": SPLIT_DASHES[split]},
                marker={"size": 9, "color": color, "symbol": "diamond" if point else "circle"},
                hovertemplate="epoch %{x}: %{y:.4f}<extra>" + plain(f"{run}, {split}") + "</extra>",
            )
    if not epochs:
        return message_figure("Neither run reported metrics.")
    figure.update_xaxes(**epoch_axis(epochs))
    share = info.title.endswith("accuracy")
    figure.update_yaxes(title_text=info.title, tickformat=".0%" if share else None)
    return figure
