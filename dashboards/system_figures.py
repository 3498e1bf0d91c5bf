"""Figures of what the machine did during a training job: CPU, memory and I/O wait."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.series import Floats, downsample
from dashboards.theme import BLUE, GREEN, GREY, PURPLE, RED, base_layout, message_figure, plain

NO_SYSTEM = "The job recorded no system metrics."
MAX_CORE_LINES = 16
# Noise looks the same with more.
MAX_LINE_POINTS = 600

# Names of the profiler's own layout; see SageMaker Debugger's system metrics.
CPU_DIMENSION = "CPUUtilization"
GPU_DIMENSION = "GPUUtilization"
IO_WAIT_DIMENSION = "I/OWaitPercentage"
MEMORY_NAME = "MemoryUsedPercent"


class SystemInfo(NamedTuple):
    """Per cent over time (unix ms): CPU mean, each core, memory, mean I/O wait, mean GPU."""

    cpu: tuple[Floats, Floats]
    cores: dict[str, tuple[Floats, Floats]]
    memory: tuple[Floats, Floats]
    io_wait: tuple[Floats, Floats]
    gpu: tuple[Floats, Floats]
    message: str | None = None


def get_system_info(system: pd.DataFrame) -> SystemInfo:
    """Return system use over time, at most 600 points a line."""
    cpu = system[system["dimension"] == CPU_DIMENSION]
    waits = system[system["dimension"] == IO_WAIT_DIMENSION]
    memory = system[(system["name"] == MEMORY_NAME) | (system["dimension"] == MEMORY_NAME)]
    gpu = system[system["dimension"] == GPU_DIMENSION]
    nothing = cpu.empty and memory.empty and waits.empty and gpu.empty
    names = sorted(cpu["name"].unique(), key=lambda name: (len(name), name))
    return SystemInfo(
        cpu=_timeline(cpu.groupby("timestamp")["value"].mean()),
        cores={
            name: _timeline(cpu[cpu["name"] == name].set_index("timestamp")["value"])
            for name in names
            if 1 < len(names) <= MAX_CORE_LINES
        },
        memory=_timeline(memory.groupby("timestamp")["value"].mean()),
        io_wait=_timeline(waits.groupby("timestamp")["value"].mean()),
        gpu=_timeline(gpu.groupby("timestamp")["value"].mean()),
        message=NO_SYSTEM if nothing else None,
    )


def system_figure(info: SystemInfo) -> go.Figure:
    """Return rows over one time axis: CPU with its cores, memory, I/O wait (those measured)."""
    if info.message:
        return message_figure(info.message)
    rows = [
        (title, line, color)
        for title, line, color in (
            ("CPU %", info.cpu, BLUE),
            ("GPU %", info.gpu, GREEN),
            ("memory %", info.memory, PURPLE),
            ("I/O wait %", info.io_wait, RED),
        )
        if len(line[1])
    ]
    figure = make_subplots(rows=len(rows), shared_xaxes=True, vertical_spacing=0.06)
    figure.update_layout(base_layout(100 + 150 * len(rows)))
    figure.update_xaxes(automargin=True, type="date")
    for name, (times, values) in info.cores.items():
        figure.add_scatter(
            x=times,
            y=values,
            name=plain(name),
            mode="lines",
            line={"color": GREY, "width": 0.8},
            opacity=0.6,
            hovertemplate="%{y:.0f} %<extra>" + plain(name) + "</extra>",
            row=1,
            col=1,
        )
    for row, (title, (times, values), color) in enumerate(rows, start=1):
        figure.add_scatter(
            x=times,
            y=values,
            name=title.removesuffix(" %") + (" mean" if title == "CPU %" else ""),
            mode="lines",
            line={"color": color, "width": 2},
            hovertemplate="%{y:.1f} %<extra>%{fullData.name}</extra>",
            row=row,
            col=1,
        )
        top = max(5.0, float(np.nanmax(values)) * 1.15) if title == "I/O wait %" else 102
        figure.update_yaxes(title_text=title, range=[0, min(top, 102)], automargin=True, row=row)
    figure.update_xaxes(title_text="UTC", row=len(rows))
    return figure


def _timeline(values: pd.Series[Any]) -> tuple[Floats, Floats]:
    seconds = values.index.to_numpy(dtype="float64")
    x, y = downsample(seconds, values.to_numpy(dtype="float64"), MAX_LINE_POINTS)
    return np.round(x * 1_000), np.round(y, 1)
