"""Figures of the durations of a training job's steps, and which of them stood out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures.series import compact, downsample
from dashboards.figures.steps import NO_STEPS, main_steps
from dashboards.figures.theme import GREEN, GREY, PURPLE, RED, SKY, message_figure, new_figure
from dashboards.files.reading import Floats
from sm_entrypoints.contract import STEP_PHASES
from sm_entrypoints.contract.sentences import counted

# The profiler report's StepOutlier rule: longer than the mean by three standard deviations.
OUTLIER_DEVIATIONS = 3.0
MAX_OUTLIERS = 200
MAX_STEP_POINTS = 800


class StepTimeInfo(NamedTuple):
    """Histogram of the wall time of TRAIN steps: bin edges and percentiles in milliseconds.

    ``others`` counts steps that ran the tail alone, after those of the whole network, and are not
    in the histogram; ``others_p50`` is their median.
    """

    edges: list[float]
    counts: list[int]
    percentiles: dict[str, float]
    beyond: int
    others: int = 0
    others_p50: float = 0.0
    message: str | None = None


class OutlierInfo(NamedTuple):
    """TRAIN steps' times in milliseconds; those beyond ``threshold`` with what took long.

    Steps that ran the tail alone have a threshold of their own; ``threshold`` is that of the
    whole network. ``found`` is the number of all outliers; the 200 longest are in the lists.
    """

    steps: list[float]
    times: list[float]
    outliers: list[float]
    outlier_times: list[float]
    outlier_texts: list[str]
    threshold: float
    found: int
    message: str | None = None


def get_step_time_info(steps: pd.DataFrame, bins: int = 60) -> StepTimeInfo:
    """Return the distribution of TRAIN step times up to their 99.5th percentile.

    ``beyond`` counts the steps that are longer still; the percentiles include them.
    """
    trained = steps[steps["mode"] == "TRAIN"]
    if trained.empty:
        return StepTimeInfo([], [], {}, 0, message=NO_STEPS)
    rows = main_steps(trained)
    times, others = _milliseconds(rows), _milliseconds(trained.drop(rows.index))
    p50, p95, p99 = (float(value) for value in np.percentile(times, [50, 95, 99]))
    start = float(times.min())
    end = max(float(np.percentile(times, 99.5)), start + 1e-6)
    counts, edges = np.histogram(times, bins=bins, range=(start, end))
    return StepTimeInfo(
        edges=edges.tolist(),
        counts=counts.tolist(),
        percentiles={"p50": p50, "p95": p95, "p99": p99, "max": float(times.max())},
        beyond=int((times > end).sum()),
        others=len(others),
        others_p50=float(np.median(others)) if len(others) else 0.0,
    )


def _milliseconds(rows: pd.DataFrame) -> Floats:
    times: Floats = rows[list(STEP_PHASES)].fillna(0.0).to_numpy(dtype="float64").sum(axis=1)
    return times * 1_000


def step_time_figure(info: StepTimeInfo) -> go.Figure:
    """Return the histogram of step times with its percentiles marked."""
    if info.message:
        return message_figure(info.message)
    edges = np.asarray(info.edges)
    figure = new_figure()
    figure.add_bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=info.counts,
        width=np.diff(edges) * 0.95,
        marker_color=SKY,
        showlegend=False,
        hovertemplate="%{x:.2f} ms: %{y} steps<extra></extra>",
    )
    for name, color in (("p50", GREEN), ("p95", PURPLE), ("p99", RED)):
        value = info.percentiles[name]
        figure.add_scatter(
            x=[value, value],
            y=[0, max(info.counts)],
            mode="lines",
            name=f"{name} {value:,.1f} ms",
            line={"color": color, "width": 1.5, "dash": "dash"},
            hoverinfo="skip",
        )
    beyond = _not_shown(info)
    figure.update_xaxes(
        title_text=f"milliseconds per TRAIN step{beyond}", range=[edges[0], edges[-1]]
    )
    figure.update_yaxes(title_text="steps")
    return figure


def _not_shown(info: StepTimeInfo) -> str:
    left = [counted(info.beyond, "longer step")] if info.beyond else []
    if info.others:
        left.append(f"{counted(info.others, 'step')} on features, p50 {info.others_p50:,.1f} ms,")
    return f" ({' and '.join(left)} not shown)" if left else ""


def get_outlier_info(steps: pd.DataFrame) -> OutlierInfo:
    """Return the time of every TRAIN step (at most 800 points) and the outliers among them."""
    rows = steps[steps["mode"] == "TRAIN"]
    if rows.empty:
        return OutlierInfo([], [], [], [], [], 0.0, 0, NO_STEPS)
    phases = rows[list(STEP_PHASES)].fillna(0.0).to_numpy(dtype="float64") * 1_000
    times, numbers = phases.sum(axis=1), rows["step"].to_numpy(dtype="float64")
    whole = rows.index.isin(main_steps(rows).index)
    thresholds = np.empty(len(times))
    for kind in (whole, ~whole):
        if kind.any():
            thresholds[kind] = times[kind].mean() + OUTLIER_DEVIATIONS * times[kind].std()
    outliers = np.flatnonzero(times > thresholds)
    longest = np.sort(outliers[np.argsort(times[outliers])[::-1][:MAX_OUTLIERS]])
    x, y = downsample(numbers, times, MAX_STEP_POINTS)
    return OutlierInfo(
        steps=x.tolist(),
        times=y.tolist(),
        outliers=numbers[longest].tolist(),
        outlier_times=times[longest].tolist(),
        outlier_texts=_outlier_texts(phases, rows["epoch"].to_numpy(), longest, whole),
        threshold=float(thresholds[whole][0]),
        found=len(outliers),
    )


def outlier_figure(info: OutlierInfo) -> go.Figure:
    """Return the time of each step as points, outliers in red with the phase that took long."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure()
    figure.add_scatter(
        x=compact(np.asarray(info.steps), digits=9),
        y=compact(np.asarray(info.times)),
        mode="markers",
        name="step",
        marker={"size": 3, "color": GREY},
        hovertemplate="step %{x}: %{y:.1f} ms<extra></extra>",
    )
    figure.add_scatter(
        x=compact(np.asarray(info.outliers), digits=9),
        y=compact(np.asarray(info.outlier_times)),
        mode="markers",
        name=f"outlier ({info.found:,})",
        marker={"size": 7, "color": RED, "symbol": "diamond"},
        text=info.outlier_texts,
        hovertemplate="step %{x}: %{y:.1f} ms<br>%{text}<extra></extra>",
    )
    figure.add_hline(
        y=info.threshold,
        line={"color": RED, "width": 1, "dash": "dot"},
        annotation={"text": "mean + 3 standard deviations", "font": {"size": 10}},
        annotation_position="bottom right",
    )
    figure.update_xaxes(title_text="TRAIN step")
    figure.update_yaxes(title_text="milliseconds", rangemode="tozero")
    return figure


def _outlier_texts(
    phases: Floats,
    epochs: Floats,
    places: npt.NDArray[np.int64],
    whole: npt.NDArray[np.bool_],
) -> list[str]:
    usual = {bool(each): np.median(phases[whole == each], axis=0) for each in np.unique(whole)}
    texts = []
    for place in places.tolist():
        more = phases[place] - usual[bool(whole[place])]
        phase = STEP_PHASES[int(more.argmax())].replace("_", " ")
        texts.append(f"epoch {epochs[place]:.0f}: {more.max():,.0f} ms more {phase} than usual")
    return texts
