"""Figures of where a training job's time went: the phases of its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures.series import bucket_means, bucket_starts, compact
from dashboards.figures.theme import (
    GREY,
    PHASE_COLORS,
    message_figure,
    new_figure,
)
from sm_entrypoints.contract import STEP_PHASES, TAIL_ALONE, WHOLE_NETWORK

NO_STEPS = "The job recorded no steps."
MAX_BUCKETS = 200


class PhaseTimelineInfo(NamedTuple):
    """Mean milliseconds per step in each phase, over buckets of neighbouring steps.

    ``features_from`` is the first step of the tail alone, after some of the whole network.
    """

    mode: str
    steps: list[int]
    milliseconds: dict[str, list[float]]
    steps_a_bucket: float
    features_from: int | None = None
    message: str | None = None


class PhaseShareInfo(NamedTuple):
    """Seconds and share (0..1) of each phase, per mode (TRAIN, EVAL).

    Steps of a mode that ran the tail alone, after others of the whole network, are a mode of
    their own.
    """

    modes: list[str]
    seconds: dict[str, list[float]]
    shares: dict[str, list[float]]
    message: str | None = None


def get_phase_timeline_info(steps: pd.DataFrame, mode: str = "TRAIN") -> PhaseTimelineInfo:
    """Return the phases of ``mode``'s steps, at most 200 buckets of means (they stack)."""
    rows = steps[steps["mode"] == mode]
    if rows.empty:
        return PhaseTimelineInfo(mode, [], {}, 0.0, message=NO_STEPS)
    phases = rows[list(STEP_PHASES)].to_numpy(dtype="float64") * 1_000
    means = bucket_means(phases, MAX_BUCKETS)
    firsts = rows["step"].to_numpy()[bucket_starts(len(rows), MAX_BUCKETS)]
    return PhaseTimelineInfo(
        mode=mode,
        steps=firsts.astype("int64").tolist(),
        milliseconds={phase: means[:, i].tolist() for i, phase in enumerate(STEP_PHASES)},
        steps_a_bucket=len(rows) / len(means),
        features_from=_features_from(rows),
    )


def _features_from(rows: pd.DataFrame) -> int | None:
    alone = rows[rows["network"] == TAIL_ALONE]
    return int(alone["step"].iloc[0]) if 0 < len(alone) < len(rows) else None


def main_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """Return the steps that ran the whole network; all where none did."""
    whole = steps[steps["network"] == WHOLE_NETWORK]
    return steps if whole.empty else whole


def phase_timeline_figure(info: PhaseTimelineInfo) -> go.Figure:
    """Return stacked areas: how long a step took, and in what."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure()
    for phase in STEP_PHASES:
        figure.add_scatter(
            x=info.steps,
            y=compact(np.asarray(info.milliseconds[phase])),
            name=phase.replace("_", " "),
            mode="lines",
            stackgroup="phases",
            line={"width": 0.5, "color": PHASE_COLORS[phase]},
            hovertemplate="%{y:.2f} ms<extra>%{fullData.name}</extra>",
        )
    each = f" (means of {info.steps_a_bucket:.0f} steps)" if info.steps_a_bucket >= 1.5 else ""
    if info.features_from is not None:
        figure.add_vline(
            x=info.features_from,
            line={"color": GREY, "width": 1, "dash": "dot"},
            annotation={"text": "on features", "font": {"size": 10}, "textangle": 0},
            annotation_position="top right",
        )
    figure.update_layout(hovermode="x unified")
    figure.update_xaxes(title_text=f"{info.mode} step{each}")
    figure.update_yaxes(title_text="milliseconds per step", rangemode="tozero")
    return figure


def get_phase_share_info(steps: pd.DataFrame, summary: Mapping[str, Any]) -> PhaseShareInfo:
    """Return seconds per phase and mode, from the steps or, without them, from the summary."""
    summed = summary.get("phase_seconds") or {}
    modes, seconds = [], {phase: list[float]() for phase in STEP_PHASES}
    for mode, totals in _phase_totals(steps, summed):
        values = [float(totals.get(phase) or 0.0) for phase in STEP_PHASES]
        if sum(values) > 0:
            modes.append(mode)
            for phase, value in zip(STEP_PHASES, values, strict=True):
                seconds[phase].append(value)
    totals_a_mode = [sum(seconds[p][i] for p in STEP_PHASES) for i in range(len(modes))]
    shares = {
        phase: [value / total for value, total in zip(values, totals_a_mode, strict=True)]
        for phase, values in seconds.items()
    }
    return PhaseShareInfo(modes, seconds, shares, None if modes else NO_STEPS)


def _phase_totals(
    steps: pd.DataFrame, summed: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Yield the name of each mode and its seconds by phase."""
    for mode in ("TRAIN", "EVAL"):
        rows = steps[steps["mode"] == mode]
        if rows.empty:
            yield mode, summed.get(mode) or {}
            continue
        main = main_steps(rows)
        yield mode, _sums(main)
        if len(main) < len(rows):
            rest = rows[rows["network"] == TAIL_ALONE]
            yield f"{mode} on features", _sums(rest)


def _sums(rows: pd.DataFrame) -> dict[str, float]:
    return {phase: float(rows[phase].sum()) for phase in STEP_PHASES}


def phase_share_figure(info: PhaseShareInfo) -> go.Figure:
    """Return one stacked bar a mode: the share of each phase."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure(height=130 + 44 * len(info.modes))
    for phase in STEP_PHASES:
        shares = info.shares[phase]
        figure.add_bar(
            x=shares,
            y=info.modes,
            name=phase.replace("_", " "),
            orientation="h",
            marker_color=PHASE_COLORS[phase],
            text=[f"{share:.0%}" if share >= 0.06 else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            textfont_color="#ffffff",
            customdata=info.seconds[phase],
            hovertemplate="%{fullData.name}: %{customdata:.1f} s, %{x:.1%}<extra>%{y}</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure
