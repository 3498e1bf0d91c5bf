"""Figures of one training job over epochs: loss and accuracy, with the rules' marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures.marks import NOWHERE, Placed, add_marks, place_by_epoch
from dashboards.figures.series import downsample
from dashboards.figures.theme import (
    GREY,
    SPLIT_COLORS,
    SPLIT_DASHES,
    epoch_axis,
    message_figure,
    new_figure,
)
from dashboards.files.findings import Mark
from dashboards.files.reading import empty_frame
from sm_entrypoints.contract import STEP_COLUMNS

NO_METRICS = "The job reported no metrics."


class CurveInfo(NamedTuple):
    """One metric over epochs: a line for train and for valid, a point for test, rules' marks."""

    title: str
    lines: dict[str, tuple[list[float], list[float]]]
    best_epoch: int | None
    marks: Placed = NOWHERE
    message: str | None = None


def get_curve_info(
    metrics: pd.DataFrame,
    column: str,
    best_epoch: int | None,
    marks: Sequence[Mark] = (),
    steps: pd.DataFrame | None = None,
) -> CurveInfo:
    """Return ``column`` (``loss`` or ``accuracy``) of every split of ``metrics`` over epochs.

    ``marks`` are placed on the training curve (without one, on validation's); ``steps`` tells
    where in its epoch a step was.
    """
    lines = {}
    for split in SPLIT_COLORS:
        rows = metrics[(metrics["split"] == split) & metrics[column].notna()]
        if not rows.empty:
            rows = rows.sort_values("epoch").drop_duplicates("epoch", keep="last")
            x, y = downsample(rows["epoch"].to_numpy(), rows[column].to_numpy())
            lines[split] = (x.tolist(), y.tolist())
    placed = NOWHERE
    if marks and lines:
        curve = next(iter(lines.values()))
        step_rows = empty_frame(STEP_COLUMNS) if steps is None else steps
        placed = place_by_epoch(marks, step_rows, *(np.asarray(values) for values in curve))
    return CurveInfo(column, lines, best_epoch, placed, None if lines else NO_METRICS)


def curve_figure(info: CurveInfo) -> go.Figure:
    """Return the curves of one metric, the delivered epoch marked."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure()
    for split, (epochs, values) in info.lines.items():
        point = split == "test" or len(epochs) == 1
        figure.add_scatter(
            x=epochs,
            y=values,
            name=split,
            mode="markers" if point else "lines+markers" if len(epochs) <= 60 else "lines",
            line={"color": SPLIT_COLORS[split], "width": 2, "dash": SPLIT_DASHES[split]},
            marker={
                "size": 11 if split == "test" else 6,
                "color": SPLIT_COLORS[split],
                "symbol": "diamond" if split == "test" else "circle",
            },
            hovertemplate="epoch %{x}: %{y:.4f}<extra>" + split + "</extra>",
        )
    add_marks(figure, info.marks)
    if info.best_epoch is not None:
        figure.add_vline(
            x=info.best_epoch,
            line={"color": GREY, "width": 1, "dash": "dot"},
            annotation={"text": "delivered", "font": {"size": 10}, "textangle": 0},
            annotation_position="bottom right",
        )
    epochs = [epoch for line in info.lines.values() for epoch in line[0]]
    figure.update_xaxes(**epoch_axis(epochs))
    is_share = info.title.endswith("accuracy")
    figure.update_yaxes(title_text=info.title, tickformat=".0%" if is_share else None)
    return figure
