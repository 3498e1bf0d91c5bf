"""Figures of a training job's tensors: vanishing gradients, exploding values, dead units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures.marks import NOWHERE, Placed, add_marks, place_by_step
from dashboards.figures.series import bucket_means, bucket_starts, compact, downsample
from dashboards.figures.theme import (
    BLUE,
    FULL_NAME,
    GREY,
    message_figure,
    name_axis,
    new_figure,
    plain,
)
from dashboards.files.findings import Mark
from dashboards.files.reading import Floats

NO_REDUCTIONS = "The job recorded no reductions of this kind."
# Bound the page: a cell weighs about two bytes of it.
MAX_COLUMNS = 120
MAX_CELLS = 4_000
MAX_FINE_CELLS = 1_500
MAX_LOSS_POINTS = 800
# Colours of a logarithmic map reach this far from its median, and this far at least in all:
# layers that are alike should look alike.
_DECADES = 4.0
_LEAST_DECADES = 1.0


class LayersInfo(NamedTuple):
    """One statistic of every tensor of a collection (rows) over recorded steps (columns)."""

    title: str
    names: list[str]
    steps: list[int]
    values: Floats
    logarithmic: bool
    message: str | None = None


class LossInfo(NamedTuple):
    """Training loss of every step, its running median, and where rules triggered."""

    steps: list[float]
    losses: list[float]
    smooth_steps: list[float]
    smooth: list[float]
    marks: Placed = NOWHERE
    message: str | None = None


def get_layers_info(
    reductions: pd.DataFrame, collection: str, column: str, *, logarithmic: bool = True
) -> LayersInfo:
    """Return ``column`` of ``collection``'s tensors in TRAIN steps, in the model's order.

    Over 120 recorded steps, fewer in a deep network, are averaged in buckets. With
    ``logarithmic`` the values are log10; zero, which has none, is NaN (a gap).
    """
    title = f"{collection} {column}".replace("_", " ")
    rows = reductions[(reductions["collection"] == collection) & (reductions["mode"] != "EVAL")]
    rows = rows[rows[column].notna()]
    if rows.empty:
        return LayersInfo(title, [], [], np.empty((0, 0)), logarithmic, NO_REDUCTIONS)
    table = rows.pivot_table(index="step", columns="name", values=column, sort=False).sort_index()
    values: Floats = table.to_numpy(dtype="float64")
    columns = max(20, min(MAX_COLUMNS, MAX_CELLS // values.shape[1]))
    steps = table.index.to_numpy()[bucket_starts(len(values), columns)]
    values = bucket_means(values, columns)
    if logarithmic:
        values = np.log10(np.where(values > 0, values, np.nan))
    names = _without_suffix(without_prefix([str(name) for name in table.columns]))
    return LayersInfo(title, names, steps.astype("int64").tolist(), values.T, logarithmic)


def without_prefix(names: list[str]) -> list[str]:
    """Return ``names`` without what all begin with: ``gradient/ResNet_`` tells no layer."""
    # What the first and the last in the alphabet share, all share.
    ends = zip(min(names), max(names), strict=False) if len(names) > 1 else ()
    common = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    cut = max(common.rfind("/"), common.rfind("_")) + 1
    return [name[cut:] for name in names]


def _without_suffix(names: list[str]) -> list[str]:
    """Return ``names`` without smdebug's ``_output_0``, when all end so and none has an _1."""
    cut = [re.sub(r"_(relu_|tanh_|sigmoid_)?(in|out)put_0$", "", name) for name in names]
    changed = all(short != name for short, name in zip(cut, names, strict=True))
    return cut if changed and len(set(cut)) == len(names) else names


def layers_figure(info: LayersInfo) -> go.Figure:
    """Return a heat map, the first layer on top: a fading row is a vanishing tensor."""
    if info.message:
        return message_figure(info.message)
    size = len(info.names)
    height = 120 + min(16 * size, 520)
    figure = new_figure(height=height)
    # A tenth of a decade is what a colour tells; few cells can afford to say it better.
    coarse = info.logarithmic and info.values.size > MAX_FINE_CELLS
    rounded = np.round(info.values, 1 if coarse else 2).tolist()
    kind = "log10 = " if info.logarithmic else ""
    figure.add_heatmap(
        x=[str(step) for step in info.steps],
        y=[plain(name, limit=FULL_NAME) for name in info.names],
        # As text: two decimals compress to a third of what 32-bit floats need.
        z=[[None if value != value else value for value in row] for row in rounded],
        **_colors(info),
        hovertemplate=f"%{{y}}<br>step %{{x}}: {kind}%{{z:.3g}}<extra></extra>",
    )
    figure.update_xaxes(title_text="step", type="category", nticks=10, showgrid=False)
    figure.update_yaxes(
        **name_axis(info.names, pixels=height - 100, keep_end=True), type="category"
    )
    figure.update_yaxes(range=[size - 0.5, -0.5], showgrid=False, zeroline=False)
    return figure


def _colors(info: LayersInfo) -> dict[str, Any]:
    """Return the colour scale: shares from none to all, logarithms without their few extremes.

    A weight that begins at zero has updates of a million times its size, which would leave one
    colour for all the others; hovering tells the true value.
    """
    bar: dict[str, Any] = {"thickness": 10, "outlinewidth": 0}
    if not info.logarithmic:
        return {"zmin": 0, "zmax": 1, "colorbar": {**bar, "tickformat": ".0%"}}
    bar["title"] = {"text": "log10", "side": "right"}
    finite = info.values[np.isfinite(info.values)]
    if not len(finite):
        return {"colorbar": bar}
    middle = float(np.median(finite))
    low, high = max(finite.min(), middle - _DECADES), min(finite.max(), middle + _DECADES)
    if high - low < _LEAST_DECADES:
        low, high = middle - _LEAST_DECADES / 2, middle + _LEAST_DECADES / 2
    return {"zmin": round(float(low), 2), "zmax": round(float(high), 2), "colorbar": bar}


def get_loss_info(reductions: pd.DataFrame, marks: Sequence[Mark] = ()) -> LossInfo:
    """Return the loss of every TRAIN step (at most 800 points) and its smoothed course."""
    rows = reductions[(reductions["collection"] == "losses") & (reductions["mode"] != "EVAL")]
    rows = rows[rows["mean"].notna()].drop_duplicates("step", keep="last").sort_values("step")
    if rows.empty:
        return LossInfo([], [], [], [], message=NO_REDUCTIONS)
    steps, losses = rows["step"].to_numpy(), rows["mean"].to_numpy()
    window = max(5, len(rows) // 40)
    smooth = rows["mean"].rolling(window, center=True, min_periods=1).median().to_numpy()
    x, y = downsample(steps, losses, MAX_LOSS_POINTS)
    smooth_x, smooth_y = downsample(steps, smooth, max_points=400)
    placed = place_by_step(marks, steps, losses)
    return LossInfo(x.tolist(), y.tolist(), smooth_x.tolist(), smooth_y.tolist(), placed)


def loss_figure(info: LossInfo) -> go.Figure:
    """Return the loss of every step, thin, with its running median, thick."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure()
    figure.add_scatter(
        x=compact(np.asarray(info.steps), digits=9),
        y=compact(np.asarray(info.losses)),
        mode="lines",
        name="each step",
        line={"color": GREY, "width": 0.8},
        opacity=0.7,
        hovertemplate="step %{x}: %{y:.4f}<extra></extra>",
    )
    figure.add_scatter(
        x=compact(np.asarray(info.smooth_steps), digits=9),
        y=compact(np.asarray(info.smooth)),
        mode="lines",
        name="running median",
        line={"color": BLUE, "width": 2.5},
        hoverinfo="skip",
    )
    add_marks(figure, info.marks)
    figure.update_xaxes(title_text="TRAIN step")
    figure.update_yaxes(title_text="loss")
    return figure


def broken_tensors(reductions: pd.DataFrame) -> list[tuple[str, str, int, int, int]]:
    """Return (collection, name, first step, NaN values, infinite values) of broken tensors.

    A tensor is broken when one of its values was NaN or infinite; the earliest comes first.
    """
    rows = reductions[(reductions["nan"].fillna(0) > 0) | (reductions["inf"].fillna(0) > 0)]
    broken = [
        (
            str(group["collection"].iloc[0]),
            str(group["name"].iloc[0]),
            int(group["step"].min()),
            int(group["nan"].sum()),
            int(group["inf"].sum()),
        )
        for _, group in rows.groupby(["collection", "name"], sort=False)
    ]
    return sorted(broken, key=lambda row: (row[2], row[0], row[1]))
