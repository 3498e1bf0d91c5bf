"""Figures of a tuning job: what was tried, how it improved, and which knob mattered."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures.series import is_logarithmic
from dashboards.figures.theme import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    epoch_axis,
    message_figure,
    new_figure,
    plain,
)
from dashboards.files.trials import Trials

NO_TRIALS = "No trial has been started yet."
NO_OBJECTIVE = "No trial has reported its objective, so there is nothing to compare."

_STATUS_COLORS = {"Completed": BLUE, "Stopped": ORANGE, "Failed": RED}


class HistoryInfo(NamedTuple):
    """Objective of each measured trial, in order, and the best one so far."""

    metric: str
    trials: list[int]
    names: list[str]
    statuses: list[str]
    objectives: list[float]
    best_so_far: list[float]
    failed: list[int]
    message: str | None = None


class Axis(NamedTuple):
    """One vertical line of the parallel coordinates: positions 0..1 and what they mean."""

    title: str
    positions: list[float]
    low: str
    high: str
    values: list[str]


class ParallelInfo(NamedTuple):
    """Axes (hyperparameters, then the objective) and a rank 0 (best) to 1 a trial."""

    axes: list[Axis]
    names: list[str]
    ranks: list[float]
    message: str | None = None


class LearningInfo(NamedTuple):
    """Objective metric over epochs, one line a trial."""

    metric: str
    lines: list[tuple[str, list[float], list[float]]]
    best: str | None
    message: str | None = None


def get_history_info(trials: Trials) -> HistoryInfo:
    """Return the objective of every trial in order of creation and the running best."""
    measured = trials.measured
    failed = [int(n) for n in trials.frame["trial"][trials.frame["status"] == "Failed"]]
    message = NO_TRIALS if trials.frame.empty else NO_OBJECTIVE if measured.empty else None
    objectives = measured["objective"]
    best = objectives.cummin() if trials.direction == "Minimize" else objectives.cummax()
    return HistoryInfo(
        metric=trials.metric,
        trials=[int(number) for number in measured["trial"]],
        names=[str(name) for name in measured["name"]],
        statuses=[str(status) for status in measured["status"]],
        objectives=[float(value) for value in objectives],
        best_so_far=[float(value) for value in best],
        failed=failed,
        message=message,
    )


def history_figure(info: HistoryInfo) -> go.Figure:
    """Return the optimisation history: a point a trial, a step line for the best so far."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure()
    figure.add_scatter(
        x=info.trials,
        y=info.objectives,
        mode="markers",
        name="trial",
        marker={"size": 9, "color": [_STATUS_COLORS.get(s, GREY) for s in info.statuses]},
        customdata=[
            [plain(name), plain(s)] for name, s in zip(info.names, info.statuses, strict=True)
        ],
        hovertemplate="trial %{x}: %{y:.4f}<br>%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )
    figure.add_scatter(
        x=info.trials,
        y=info.best_so_far,
        mode="lines",
        name="best so far",
        line={"shape": "hv", "color": GREEN, "width": 2},
        hoverinfo="skip",
    )
    for number in info.failed:
        figure.add_vline(x=number, line={"color": RED, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="trial", dtick=max(1, len(info.trials) // 12))
    figure.update_yaxes(title_text=plain(info.metric))
    return figure


def get_parallel_info(trials: Trials) -> ParallelInfo:
    """Return one axis a tuned hyperparameter and one for the objective, measured trials only."""
    measured = trials.measured
    if measured.empty:
        return ParallelInfo([], [], [], NO_TRIALS if trials.frame.empty else NO_OBJECTIVE)
    parameters = trials.parameters.loc[measured.index]
    axes = [_axis(str(name), parameters[name]) for name in parameters.columns]
    axes.append(_axis(trials.metric, measured["objective"]))
    order = measured["objective"].rank(ascending=trials.direction == "Minimize", method="min")
    ranks = (order - 1) / max(len(order) - 1, 1)
    return ParallelInfo(axes, [str(n) for n in measured["name"]], [float(r) for r in ranks])


def parallel_figure(info: ParallelInfo) -> go.Figure:
    """Return parallel coordinates: a line a trial, the best trials on top and strongest.

    Lines of scatter traces, not ``go.Parcoords``: that one needs WebGL and ``eval``, which a
    report opened on a remote desktop or under a content policy does not have.
    """
    if info.message:
        return message_figure(info.message)
    figure = new_figure(height=380)
    places = list(range(len(info.axes)))
    for row in sorted(range(len(info.names)), key=lambda row: -info.ranks[row]):
        best = info.ranks[row] == 0
        figure.add_scatter(
            x=places,
            y=[axis.positions[row] for axis in info.axes],
            mode="lines+markers",
            showlegend=False,
            opacity=1.0 if best else 0.75 - 0.5 * info.ranks[row],
            line={"color": ORANGE if best else BLUE, "width": 3 if best else 1.5},
            marker={"size": 7 if best else 5},
            name=plain(info.names[row]),
            customdata=[[plain(axis.title), plain(axis.values[row])] for axis in info.axes],
            hovertemplate="%{customdata[0]} = %{customdata[1]}<extra>%{fullData.name}</extra>",
        )
    for place, axis in enumerate(info.axes):
        figure.add_shape(
            x0=place, x1=place, y0=0, y1=1, line={"color": GREY, "width": 1}, layer="below"
        )
        for y, text, shift in ((0.0, axis.low, -14), (1.0, axis.high, 14)):
            figure.add_annotation(
                x=place, y=y, text=plain(text, 16), yshift=shift, showarrow=False, font_size=10
            )
    figure.update_xaxes(
        tickmode="array",
        tickvals=places,
        ticktext=[plain(axis.title, 20) for axis in info.axes],
        range=[-0.35, len(places) - 0.65],
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(visible=False, range=[-0.12, 1.12])
    figure.update_layout(margin_t=12)
    return figure


def get_learning_info(trials: Trials) -> LearningInfo:
    """Return the objective metric over epochs of every trial that has a history."""
    lines = []
    for name in trials.frame["name"]:
        history = trials.histories.get(str(name))
        if history is None or trials.metric not in history.columns:
            continue
        points = history[["epoch", trials.metric]].dropna().drop_duplicates("epoch", keep="last")
        if not points.empty:
            lines.append(
                (
                    str(name),
                    points["epoch"].to_list(),
                    points[trials.metric].astype(float).to_list(),
                )
            )
    best = None if trials.best is None else str(trials.frame["name"][trials.best])
    message = None if lines else "No trial has a history of its objective."
    return LearningInfo(trials.metric, lines, best, message)


def learning_figure(info: LearningInfo) -> go.Figure:
    """Return the learning curves of all trials, the best one highlighted."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure()
    for name, epochs, values in sorted(info.lines, key=lambda line: line[0] == info.best):
        best = name == info.best
        figure.add_scatter(
            x=epochs,
            y=values,
            mode="lines+markers",
            name=plain(name),
            showlegend=False,
            opacity=1.0 if best else 0.45,
            line={"color": ORANGE if best else BLUE, "width": 3 if best else 1.5},
            marker={"size": 7 if best else 4},
            hovertemplate="epoch %{x}: %{y:.4f}<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(**epoch_axis([epoch for _, line, _ in info.lines for epoch in line]))
    figure.update_yaxes(title_text=plain(info.metric))
    return figure


def _axis(title: str, values: pd.Series[Any]) -> Axis:
    if values.dtype == object:
        names = sorted(set(values))
        places = {name: index / max(len(names) - 1, 1) for index, name in enumerate(names)}
        positions = [places[value] for value in values]
        return Axis(title, positions, str(names[0]), str(names[-1]), [str(v) for v in values])
    numbers = values.to_numpy(dtype="float64")
    scaled = np.log10(numbers) if is_logarithmic(numbers) else numbers
    low, high = np.nanmin(scaled), np.nanmax(scaled)
    shown = (scaled - low) / (high - low) if high > low else np.full_like(scaled, 0.5)
    ends = (np.nanmin(numbers), np.nanmax(numbers))
    return Axis(
        title,
        [float(place) for place in shown],
        f"{ends[0]:.4g}",
        f"{ends[1]:.4g}" + (" (log)" if scaled is not numbers else ""),
        [f"{number:.6g}" for number in numbers],
    )
