"""Figures of the machine during a training job: CPU, GPU, memory, disk and network."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures.panels import Panel, arrange
from dashboards.figures.series import compact, downsample
from dashboards.figures.theme import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    base_layout,
    message_figure,
    plain,
)
from dashboards.files.reading import Floats

NO_SYSTEM = "The job recorded no system metrics."
MAX_CORE_LINES = 16
# Noise looks the same with more.
MAX_LINE_POINTS = 400

# Names of the profiler's own layout; see SageMaker Debugger's system metrics.
CPU_DIMENSION = "CPUUtilization"
GPU_DIMENSION = "GPUUtilization"
IO_WAIT_DIMENSION = "I/OWaitPercentage"
MEMORY_NAME = "MemoryUsedPercent"
# Ours: the resident memory of the training process and its loader's workers.
PROCESS_MEMORY_NAME = "ProcessMemoryBytes"
_MEGA = 1e-6
_RATES = {
    "ReadThroughputInBytesPerSecond": ("disk MB/s", "disk read", SKY),
    "WriteThroughputInBytesPerSecond": ("disk MB/s", "disk write", ORANGE),
    "ReceiveBytesPerSecond": ("network MB/s", "received", SKY),
    "TransmitBytesPerSecond": ("network MB/s", "sent", ORANGE),
}
# One entry a colour: disk and network share theirs, and the axes tell which is which.
_LEGEND = {
    "disk read": "read or received",
    "received": "read or received",
    "disk write": "written or sent",
    "sent": "written or sent",
}


class Line(NamedTuple):
    """One metric over time (unix seconds)."""

    name: str
    color: str
    times: Floats
    values: Floats


class SystemInfo(NamedTuple):
    """Panels of lines that share the time axis, by title with unit; only what was measured.

    ``started`` is the first sample's time, unix seconds.
    """

    panels: dict[str, list[Line]]
    started: float
    message: str | None = None


def get_system_info(system: pd.DataFrame) -> SystemInfo:
    """Return system use over time, at most 400 points a line: per cent, or megabytes."""
    cpu = _dimension(system, CPU_DIMENSION)
    names = sorted(cpu["name"].unique(), key=lambda name: (len(name), name))
    cores = [
        _line(plain(name), GREY, cpu[cpu["name"] == name])
        for name in names
        if 1 < len(names) <= MAX_CORE_LINES
    ]
    panels = {
        "CPU %": [*cores, _line("CPU mean", BLUE, cpu)],
        "GPU %": [_line("GPU", GREEN, _dimension(system, GPU_DIMENSION))],
        "memory %": [_line("memory", PURPLE, _named(system, MEMORY_NAME))],
        "process, MB": [_line("process memory", GREEN, _named(system, PROCESS_MEMORY_NAME), _MEGA)],
        "I/O wait %": [_line("I/O wait", RED, _dimension(system, IO_WAIT_DIMENSION))],
    }
    for name, (panel, title, color) in _RATES.items():
        panels.setdefault(panel, []).append(_line(title, color, _named(system, name), _MEGA))
    measured = {
        panel: kept
        for panel, lines in panels.items()
        if (kept := [line for line in lines if len(line.values)])
    }
    started = min((line.times[0] for lines in measured.values() for line in lines), default=0.0)
    return SystemInfo(measured, float(started), None if measured else NO_SYSTEM)


def system_figure(info: SystemInfo) -> go.Figure:
    """Return one row a panel over one time axis."""
    if info.message:
        return message_figure(info.message)
    panels = arrange(len(info.panels), 1, gap=0.0, space=0.15)
    layout = base_layout(100 + 115 * len(panels))
    moment = datetime.fromtimestamp(info.started, UTC)
    when = {"text": f"seconds from {moment:%Y-%m-%d %H:%M:%S} UTC"}
    traces: list[dict[str, Any]] = []
    named: set[str] = set()
    for panel, (title, lines) in zip(panels, info.panels.items(), strict=True):
        last = panel is panels[-1]
        top = max([float(np.nanmax(line.values)) for line in lines], default=0.0)
        layout |= panel.axes(
            {"automargin": True, "matches": "x" if panel.x != "x" else None}
            | ({"title": when} if last else {"showticklabels": False}),
            {"automargin": True, "title": {"text": title}, "range": [0, _limit(title, top)]},
        )
        for line in lines:
            # The axis names a panel's only line.
            new = len(lines) > 1 and _legend_name(line) not in named
            named |= {_legend_name(line)} if new else set()
            traces.append(_trace(panel, line, new, info.started))
    return go.Figure(data=traces, layout=layout)


def _legend_name(line: Line) -> str:
    return "each core" if line.color == GREY else _LEGEND.get(line.name, line.name)


def _trace(panel: Panel, line: Line, in_legend: bool, started: float) -> dict[str, Any]:
    core = line.color == GREY
    name = _legend_name(line)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": compact(line.times - started, digits=7),
        "y": compact(line.values),
        "name": name,
        "line": {"color": line.color, "width": 0.8 if core else 2},
        "opacity": 0.6 if core else 1,
        "showlegend": in_legend,
        "legendgroup": name,
        "hovertemplate": "%{y:,.4~g}<extra>" + line.name + "</extra>",
        "xaxis": panel.x,
        "yaxis": panel.y,
    }


def system_statistics(system: pd.DataFrame) -> list[tuple[str, float, float, float, float, float]]:
    """Return (metric, max, p99, p95, p50, min) of what was measured, as AWS's report does."""
    parts = {
        "CPU %": _mean(_dimension(system, CPU_DIMENSION)),
        "GPU %": _mean(_dimension(system, GPU_DIMENSION)),
        "memory %": _mean(_named(system, MEMORY_NAME)),
        "process memory, MB": _mean(_named(system, PROCESS_MEMORY_NAME)) * _MEGA,
        "I/O wait %": _mean(_dimension(system, IO_WAIT_DIMENSION)),
        **{
            f"{name}, MB/s": _mean(_named(system, member)) * _MEGA
            for member, (_, name, _) in _RATES.items()
        },
    }
    rows = []
    for metric, series in parts.items():
        values = series.dropna().to_numpy(dtype="float64")
        if len(values):
            p99, p95, p50 = (float(each) for each in np.percentile(values, [99, 95, 50]))
            rows.append((metric, float(values.max()), p99, p95, p50, float(values.min())))
    return rows


def _limit(title: str, top: float) -> float:
    if title == "I/O wait %":
        return min(102.0, max(5.0, top * 1.15))
    return 102.0 if title.endswith("%") else max(top * 1.15, 0.1)


def _dimension(system: pd.DataFrame, dimension: str) -> pd.DataFrame:
    return system[system["dimension"] == dimension]


def _named(system: pd.DataFrame, name: str) -> pd.DataFrame:
    return system[(system["name"] == name) | (system["dimension"] == name)]


def _mean(rows: pd.DataFrame) -> pd.Series[Any]:
    # Cores are sampled together: their mean is the machine's.
    return rows.groupby("timestamp")["value"].mean()


def _line(name: str, color: str, rows: pd.DataFrame, scale: float = 1.0) -> Line:
    values = _mean(rows).dropna()
    seconds = values.index.to_numpy(dtype="float64")
    x, y = downsample(seconds, values.to_numpy(dtype="float64") * scale, MAX_LINE_POINTS)
    return Line(name, color, np.round(x, 2), np.round(y, 1 if scale == 1 else 3))
