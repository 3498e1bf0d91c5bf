"""Where on a figure's axes the rules triggered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures.theme import RED, plain
from dashboards.files.findings import Mark
from dashboards.files.reading import Floats

# A rule that triggers at every step would bury the curve that it is about.
MAX_MARKS_A_RULE = 3
MAX_MARKS = 30
_TEXT = 160


class Placed(NamedTuple):
    """Marks at (x, y) of a figure, each with the text that its reader sees."""

    x: list[float]
    y: list[float]
    texts: list[str]


NOWHERE = Placed([], [], [])


def chosen_marks(marks: Sequence[Mark]) -> list[Mark]:
    """Return the first three marks of each rule, at most 30 altogether."""
    seen: dict[str, int] = {}
    chosen = []
    for mark in sorted(marks, key=lambda mark: (mark.epoch, mark.step)):
        seen[mark.rule] = seen.get(mark.rule, 0) + 1
        if seen[mark.rule] <= MAX_MARKS_A_RULE:
            chosen.append(mark)
    return chosen[:MAX_MARKS]


def place_by_epoch(marks: Sequence[Mark], steps: pd.DataFrame, x: Floats, y: Floats) -> Placed:
    """Return ``marks`` on the curve (x, y) over epochs; epoch 1 ends at x = 1.

    A step's place within its epoch comes from ``steps``; a mark whose step is not there stands at
    its epoch's end, and one without an epoch is left out.
    """
    grouped = steps.groupby(["mode", "epoch"])["step"].agg(["min", "max"]).reset_index()
    spans = {
        (str(mode), int(epoch)): (float(first), float(last) + 1)
        for mode, epoch, first, last in grouped.to_numpy().tolist()
    }
    placed = []
    for mark in chosen_marks(marks):
        first, end = spans.get((mark.mode, mark.epoch), (np.inf, np.inf))
        if mark.epoch > 0:
            part = (mark.step + 1 - first) / (end - first) if first <= mark.step < end else 1.0
            placed.append((mark.epoch - 1 + part, mark))
    return _on_curve(placed, x, y)


def place_by_step(marks: Sequence[Mark], x: Floats, y: Floats, mode: str = "TRAIN") -> Placed:
    """Return the ``marks`` of ``mode`` on the curve (x, y) over steps."""
    chosen = chosen_marks([mark for mark in marks if mark.mode == mode])
    return _on_curve([(float(mark.step), mark) for mark in chosen], x, y)


def add_marks(figure: go.Figure, placed: Placed) -> None:
    """Draw ``placed`` as red triangles that tell on hover which rule triggered, and why."""
    if not placed.x:
        return
    figure.add_scatter(
        x=placed.x,
        y=placed.y,
        mode="markers",
        name="rule triggered",
        marker={"symbol": "triangle-down", "size": 12, "color": RED, "line": {"width": 1}},
        text=placed.texts,
        hovertemplate="%{text}<extra></extra>",
    )


def _on_curve(placed: Sequence[tuple[float, Mark]], x: Floats, y: Floats) -> Placed:
    present = np.isfinite(y)
    if not placed or not present.any():
        return NOWHERE
    order = np.argsort(x[present], kind="stable")
    heights = np.interp([place for place, _ in placed], x[present][order], y[present][order])
    return Placed(
        [round(place, 3) for place, _ in placed],
        heights.tolist(),
        list(map(_text, (mark for _, mark in placed))),
    )


def _text(mark: Mark) -> str:
    message = mark.message if len(mark.message) <= _TEXT else mark.message[: _TEXT - 1] + "…"
    lines = (
        f"<b>{plain(mark.rule)}</b> · epoch {mark.epoch}, {plain(mark.mode)} step {mark.step}",
        plain(mark.subject),
        plain(message, _TEXT),
    )
    return "<br>".join(line for line in lines if line)
