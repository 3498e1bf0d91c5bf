"""Colours, templates and the empty figure: how every plotly figure of a report looks.

Not for the layout of the page itself (``page.css``) or for the static charts (``charts``), which
share only the colours.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go

# Okabe and Ito's colour-blind safe hues, moved to mid lightness so that they read on white and
# on near black.
BLUE = "#3182bd"
ORANGE = "#e6803c"
GREEN = "#1b9e88"
PURPLE = "#b5679f"
SKY = "#62b5e5"
YELLOW = "#d8a927"
GREY = "#8a8f98"
RED = "#cf4b4b"
COLORWAY = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW, GREY)

SPLIT_COLORS = {"train": BLUE, "valid": ORANGE, "test": GREEN}
SPLIT_DASHES = {"train": "solid", "valid": "dash", "test": "dot"}
PHASE_COLORS = {
    "data_wait": ORANGE,
    "transfer": YELLOW,
    "forward": SKY,
    "backward": BLUE,
    "optimizer": PURPLE,
}

_SEQUENTIAL_LIGHT = ((0.0, "#f3f6fa"), (0.35, "#a9cbe5"), (0.7, "#3f8ac2"), (1.0, "#0b3c6f"))
_SEQUENTIAL_DARK = ((0.0, "#20262e"), (0.35, "#1d4f78"), (0.7, "#4696cf"), (1.0, "#d6ecfb"))
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

# Longer than any file name, so that two class or layer names never become one by being cut.
FULL_NAME = 300

# What a figure says instead of being blank; the page shows the sentence as text.
MESSAGE_KEY = "message"


def plain(text: object, limit: int = 60) -> str:
    """Return ``text`` for a plotly label, shown letter for letter, at most ``limit`` long.

    Plotly reads a subset of HTML in labels, hover texts and names; a class may be called
    ``<b>`` or ``a&amp;b`` and must read so.
    """
    shown = str(text)
    if len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    return html.escape(shown, quote=False)


def base_layout(height: int) -> dict[str, Any]:
    """Return the layout that all figures share: ``height`` pixels, as wide as the container."""
    return {
        # Empty: the page brings its own, and plotly would check a full one again in every figure.
        "template": {},
        "height": height,
        "autosize": True,
        "margin": {"l": 8, "r": 24, "t": 36, "b": 8},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.0,
            "yanchor": "bottom",
            "xanchor": "left",
            "traceorder": "normal",
        },
        "hovermode": "closest",
    }


def new_figure(height: int = 340) -> go.Figure:
    """Return an empty figure with :func:`base_layout`."""
    axis = {"automargin": True}
    return go.Figure(layout={**base_layout(height), "xaxis": axis, "yaxis": axis})


def message_figure(sentence: str) -> go.Figure:
    """Return a figure that shows ``sentence``: why there is nothing to plot."""
    figure = new_figure(height=120)
    figure.update_layout(
        meta={MESSAGE_KEY: sentence},
        xaxis={"visible": False},
        yaxis={"visible": False},
        annotations=[
            {
                "text": plain(sentence, limit=300),
                "xref": "paper",
                "yref": "paper",
                "x": 0.5,
                "y": 0.5,
                "showarrow": False,
            }
        ],
    )
    return figure


def message_of(figure: go.Figure) -> str | None:
    """Return the sentence of a :func:`message_figure`, None for any other figure."""
    meta = figure.layout.meta
    return str(meta[MESSAGE_KEY]) if isinstance(meta, dict) and MESSAGE_KEY in meta else None


def epoch_axis(epochs: Iterable[float]) -> dict[str, Any]:
    """Return axis settings for epochs: whole numbers, every one of them while they are few."""
    few = max(epochs, default=0) <= 12
    return {"title": {"text": "epoch"}, "tickformat": "d", "dtick": 1 if few else None}


def name_axis(
    labels: Sequence[str], pixels: int | None = None, *, keep_end: bool = False
) -> dict[str, Any]:
    """Return axis settings that put ``labels`` at 0, 1, 2, …, as they are written.

    Numbers instead of plotly's category axis: a class called ``001`` stays ``001``, and two long
    names that are cut to the same text stay two. With ``pixels``, the room along the axis, every
    k-th label is left out when they would overlap (12 pixels each). ``keep_end`` shortens long
    names at their start: of ``a.b.conv.weight`` and its likes the end tells which it is.
    """
    step = 1 if pixels is None else max(1, -(-len(labels) * 12 // max(pixels, 12)))
    places = list(range(0, len(labels), step))
    return {
        "tickmode": "array",
        "tickvals": places,
        "ticktext": [_short(labels[place], keep_end) for place in places],
        "range": [-0.5, max(len(labels) - 0.5, 0.5)],
    }


def _short(label: str, keep_end: bool, limit: int = 28) -> str:
    if keep_end and len(label) > limit:
        return plain("…" + label[1 - limit :])
    return plain(label, limit)


def _template(font: str, grid: str, hover: str, sequential: Sequence[tuple[float, str]]) -> Any:
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zerolinecolor": grid,
        "title": {"standoff": 8, "font": {"size": 12}},
        "tickfont": {"size": 11},
    }
    return {
        "layout": {
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": _FONT, "size": 12, "color": font},
            "colorway": list(COLORWAY),
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": font},
            "hoverlabel": {"bgcolor": hover, "font": {"color": font, "family": _FONT}},
            "xaxis": axis,
            "yaxis": axis,
        },
        "data": {
            "heatmap": [{"type": "heatmap", "colorscale": [list(stop) for stop in sequential]}]
        },
    }


LIGHT_TEMPLATE = _template("#3a424d", "#e3e7ec", "#ffffff", _SEQUENTIAL_LIGHT)
DARK_TEMPLATE = _template("#c3cad4", "#343c47", "#1d232b", _SEQUENTIAL_DARK)
