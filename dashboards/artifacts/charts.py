"""Small static SVG charts for Prefect artifacts, whose Markdown can show only images.

The same input gives the same bytes. Only matplotlib's object interface is used: no pyplot, no
global figures, safe in a worker's threads except for the settings, which are restored.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from dashboards.figures.curves import NO_METRICS, get_curve_info
from dashboards.figures.series import downsample
from dashboards.figures.step_times import get_outlier_info, get_step_time_info
from dashboards.figures.steps import get_phase_share_info
from dashboards.figures.system import CPU_DIMENSION, NO_SYSTEM
from dashboards.figures.theme import BLUE, GREEN, GREY, ORANGE, PHASE_COLORS, RED, SKY, SPLIT_COLORS

MAX_CHART_POINTS = 300

# Text stays text (small, sharp); a fixed salt makes the ids the same in every run. The white
# ground keeps axes readable on Prefect's dark pages too.
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "whippet",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": "#c4cad2",
    "axes.labelcolor": "#3a424d",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e7ec",
    "xtick.color": "#5b6572",
    "ytick.color": "#5b6572",
    "legend.frameon": False,
    "text.parse_math": False,
}


def training_curves_svg(metrics: pd.DataFrame) -> str:
    """Return loss and accuracy over epochs of a job's ``metrics`` frame (see ``frames``)."""

    def draw(figure: Figure) -> None:
        for axes, column in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
            info = get_curve_info(metrics, column, None)
            if info.message:
                _say(axes, NO_METRICS)
                continue
            for split, (epochs, values) in info.lines.items():
                marker = "D" if split == "test" else "o" if len(epochs) <= 40 else None
                axes.plot(
                    epochs, values, marker=marker, ms=4, color=SPLIT_COLORS[split], label=split
                )
            axes.set(xlabel="epoch", title=column)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend()
            if column == "accuracy":
                axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))

    return _svg(draw, 8.0, 3.0)


def phase_share_svg(steps: pd.DataFrame, summary: Mapping[str, Any]) -> str:
    """Return the share of each step phase from the steps or, without them, ``summary.json``."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        info = get_phase_share_info(steps, summary)
        if info.message:
            _say(axes, info.message)
            return
        left = np.zeros(len(info.modes))
        for phase, shares in info.shares.items():
            label = phase.replace("_", " ")
            bars = axes.barh(info.modes, shares, left=left, color=PHASE_COLORS[phase], label=label)
            texts = [f"{share:.0%}" if share >= 0.06 else "" for share in shares]
            axes.bar_label(bars, labels=texts, label_type="center", color="white")
            left += shares
        axes.set(xlim=(0, 1))
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.legend(ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0))

    return _svg(draw, 8.0, 1.9)


def step_time_svg(steps: pd.DataFrame) -> str:
    """Return the distribution of TRAIN step times, and every step with its outliers in red."""

    def draw(figure: Figure) -> None:
        info, times = get_outlier_info(steps), get_step_time_info(steps)
        if info.message:
            _say(figure.subplots(), info.message)
            return
        left, right = figure.subplots(1, 2)
        edges = np.asarray(times.edges)
        left.bar(edges[:-1], times.counts, width=np.diff(edges), align="edge", color=SKY)
        for name, color in (("p50", GREEN), ("p95", ORANGE), ("p99", RED)):
            left.axvline(times.percentiles[name], color=color, ls="--", lw=1, label=name)
        left.set(xlabel="milliseconds per TRAIN step", ylabel="steps")
        left.legend()
        right.scatter(info.steps, info.times, s=2, color=GREY)
        label = f"outliers ({info.found:,})"
        right.scatter(info.outliers, info.outlier_times, s=14, color=RED, marker="D", label=label)
        right.set(xlabel="TRAIN step", ylabel="milliseconds", ylim=(0, None))
        right.legend()

    return _svg(draw, 8.0, 2.6)


def cpu_timeline_svg(system: pd.DataFrame) -> str:
    """Return CPU use (mean over cores) over time, UTC, from the ``system`` frame."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        cpu = system[system["dimension"] == CPU_DIMENSION]
        if cpu.empty:
            _say(axes, NO_SYSTEM)
            return
        mean = cpu.groupby("timestamp")["value"].mean()
        seconds = mean.index.to_numpy(dtype="float64")
        x, y = downsample(seconds, mean.to_numpy(dtype="float64"), MAX_CHART_POINTS)
        started = datetime.fromtimestamp(float(seconds[0]), UTC)
        axes.fill_between(x - seconds[0], y, color=BLUE, alpha=0.2, linewidth=0)
        axes.plot(x - seconds[0], y, color=BLUE, linewidth=1.2)
        axes.set(ylim=(0, 100), ylabel="CPU %", xlabel=f"seconds from {started:%H:%M:%S} UTC")

    return _svg(draw, 8.0, 2.2)


def comparison_svg(blocks: Sequence[Mapping[str, Any]]) -> str:
    """Return milliseconds an image by block of a comparison: ``speed.blocks`` of its result."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for variant, label, color in (("A", "as trained", GREY), ("B", "changed", BLUE)):
            own = [block for block in blocks if block["variant"] == variant]
            x = [block["pair"] + 1 for block in own]
            y = [1000 * block["seconds_per_image"] for block in own]
            axes.plot(x, y, marker="o", ms=4, linewidth=1, color=color, label=label)
        axes.set(xlabel="pair of blocks", ylabel="ms per image")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()

    return _svg(draw, 8.0, 2.6)


def svg_data_uri(svg: str) -> str:
    """Return ``svg`` as a base64 ``data:`` URI, for an image in Markdown or HTML."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode('ascii')}"


def markdown_image(svg: str, alt: str) -> str:
    """Return ``svg`` as a Markdown image that carries its content; ``alt`` describes it."""
    described = " ".join(alt.split()).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    return f"![{described}]({svg_data_uri(svg)})"


def _svg(draw: Callable[[Figure], None], width: float, height: float) -> str:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        draw(figure)
        content = io.StringIO()
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def _say(axes: Axes, sentence: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, ha="center", va="center", color=GREY, transform=axes.transAxes)
