"""Figures of the loader's workers, and rows of the operators that torch.profiler saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures.theme import message_figure, name_axis, new_figure
from dashboards.files.reading import Floats
from sm_entrypoints.contract import OPERATOR_COLUMNS

NO_WORKERS = "The job did not record which process made its batches."
NO_OPERATORS = "The job profiled no operators."
MAX_SLOTS = 80
MAX_WORKERS = 64


class WorkersInfo(NamedTuple):
    """What each process of the loader did; shares (0..1) of time slots that it was busy.

    ``busy`` has a row a worker and a column a slot; ``starts`` are seconds from the first batch.
    """

    workers: list[str]
    batches: list[int]
    samples: list[int]
    mean_seconds: list[float]
    shares: list[float]
    starts: list[float]
    busy: Floats
    message: str | None = None


class OperatorRow(NamedTuple):
    """An operator of the profiled window; times in seconds, ``share`` (0..1) of all self time."""

    name: str
    calls: int
    self_seconds: float
    total_seconds: float
    device_seconds: float
    share: float


def get_workers_info(workers: pd.DataFrame, processes: int | None = None) -> WorkersInfo:
    """Return which process made which batches, and how busy each worker was during the job.

    ``processes`` is the loader's number of workers; with 0 the training process made the batches.
    """
    rows = workers.dropna(subset=["pid", "started", "seconds"])
    if rows.empty:
        return WorkersInfo([], [], [], [], [], [], np.empty((0, 0)), NO_WORKERS)
    begin = float(rows["started"].min())
    length = max(float((rows["started"] + rows["seconds"]).max()) - begin, 1e-6)
    pids = rows["pid"].drop_duplicates().astype("int64").tolist()[:MAX_WORKERS]
    groups = [(pid, rows[rows["pid"] == pid]) for pid in pids]
    slots = max(1, min(MAX_SLOTS, len(rows) // 2))
    edges = np.linspace(0.0, length, slots + 1)
    return WorkersInfo(
        workers=[
            "training process" if processes == 0 else f"worker {place} (pid {pid})"
            for place, (pid, _) in enumerate(groups)
        ],
        batches=[len(group) for _, group in groups],
        samples=[int(group["samples"].fillna(0).sum()) for _, group in groups],
        mean_seconds=[float(group["seconds"].mean()) for _, group in groups],
        shares=[min(1.0, float(group["seconds"].sum()) / length) for _, group in groups],
        starts=edges[:-1].tolist(),
        busy=np.array([_busy(group, begin, edges) for _, group in groups]),
    )


def workers_figure(info: WorkersInfo) -> go.Figure:
    """Return a heat map: one row a worker, the share of each moment that it was busy."""
    if info.message:
        return message_figure(info.message)
    size = len(info.workers)
    figure = new_figure(height=120 + min(26 * size, 400))
    figure.add_heatmap(
        x=np.round(info.starts, 2),
        y=list(range(size)),
        z=np.round(100 * info.busy).astype("uint8"),
        zmin=0,
        zmax=100,
        ygap=1,
        colorbar={"ticksuffix": "%", "thickness": 10, "outlinewidth": 0},
        hovertemplate="from second %{x:.1f}: %{z}% busy<extra></extra>",
    )
    figure.update_xaxes(title_text="seconds from the first batch", showgrid=False)
    names = [worker.partition(" (")[0] for worker in info.workers]
    figure.update_yaxes(**name_axis(names, 26 * size))
    figure.update_yaxes(range=[size - 0.5, -0.5], showgrid=False, zeroline=False)
    return figure


def get_operator_rows(operators: pd.DataFrame) -> Sequence[OperatorRow]:
    """Return the operators, the largest self time first."""
    rows = operators.sort_values("share", ascending=False, kind="stable")
    columns = (rows[name].fillna(0.0).tolist() for name in OPERATOR_COLUMNS[1:])
    return [
        OperatorRow(
            name=name,
            calls=int(calls),
            self_seconds=self_cpu + self_device,
            total_seconds=max(cpu, device),
            device_seconds=device,
            share=share,
        )
        for name, calls, self_cpu, cpu, self_device, device, share in zip(
            rows["name"].astype(str).tolist(), *columns, strict=True
        )
    ]


def _busy(group: pd.DataFrame, begin: float, edges: Floats) -> Floats:
    """Return the share of each slot between ``edges`` that the group's batches fill."""
    starts = np.sort(group["started"].to_numpy(dtype="float64") - begin)
    order = np.argsort(group["started"].to_numpy(), kind="stable")
    ends = starts + group["seconds"].to_numpy(dtype="float64")[order]
    # Seconds of work done up to a moment, at every edge: batches of one worker do not overlap.
    moments = np.column_stack([starts, np.maximum.accumulate(ends)]).ravel()
    moments = np.maximum.accumulate(moments)
    steps = np.diff(moments, prepend=moments[:1])
    steps[::2] = 0.0
    done = np.interp(edges, moments, np.cumsum(steps))
    shares: Floats = np.clip(np.diff(done) / np.diff(edges), 0.0, 1.0)
    return shares
