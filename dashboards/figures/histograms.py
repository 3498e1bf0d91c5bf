"""Figures of the spread of tensors' values over the steps: one small heat map per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.health import without_prefix
from dashboards.figures.panels import Panel, arrange
from dashboards.figures.series import compact
from dashboards.figures.theme import FULL_NAME, base_layout, message_figure, plain
from dashboards.files.histograms import Histogram
from dashboards.files.reading import Floats

NO_HISTOGRAMS = "The job recorded no histograms of this kind."
MAX_LAYERS = 8
MAX_STEPS = 30
BINS = 32
_COLUMNS = 4
_TITLE = 26


class SpreadInfo(NamedTuple):
    """One tensor's histograms on common bins: ``shares`` (bins, steps), each column's sum 1."""

    name: str
    steps: list[int]
    centres: list[float]
    shares: Floats


class HistogramInfo(NamedTuple):
    """The recorded layers of a collection in the model's order; ``hidden`` more left out."""

    collection: str
    layers: list[SpreadInfo]
    hidden: int
    message: str | None = None


def get_histogram_info(histograms: Sequence[Histogram], collection: str) -> HistogramInfo:
    """Return at most eight layers' spread over at most 30 TRAIN steps; first and last included."""
    layers: dict[str, list[Histogram]] = {}
    for histogram in histograms:
        if histogram.collection == collection and histogram.mode != "EVAL":
            layers.setdefault(histogram.name, []).append(histogram)
    names = list(layers)
    chosen = [names[place] for place in _evenly(len(names), MAX_LAYERS)]
    return HistogramInfo(
        collection,
        [_spread(name, layers[name]) for name in chosen],
        len(names) - len(chosen),
        None if names else NO_HISTOGRAMS,
    )


def histogram_figure(info: HistogramInfo) -> go.Figure:
    """Return small heat maps side by side: a column a step, the darker the more values there."""
    if info.message:
        return message_figure(info.message)
    columns = min(_COLUMNS, len(info.layers))
    panels = arrange(len(info.layers), columns, gap=0.25, space=0.3)
    axis = {"automargin": True, "showgrid": False, "tickfont": {"size": 10}}
    layout = base_layout(60 + 190 * -(-len(panels) // columns))
    pairs = list(zip(panels, info.layers, strict=True))
    for panel, layer in pairs:
        layout |= panel.axes(
            {**axis, **_steps_axis(layer.steps)}, {**axis, "nticks": 5, "zeroline": False}
        )
    names = without_prefix([layer.name for layer in info.layers])
    limit = _TITLE if columns > 1 else FULL_NAME
    layout["annotations"] = [
        panel.title(_title(name, limit)) for panel, name in zip(panels, names, strict=True)
    ]
    return go.Figure(data=[_heatmap(panel, layer) for panel, layer in pairs], layout=layout)


def _heatmap(panel: Panel, layer: SpreadInfo) -> dict[str, Any]:
    top = float(layer.shares.max()) or 1.0
    name = plain(layer.name, FULL_NAME)
    return {
        "type": "heatmap",
        "x": layer.steps,
        "y": compact(np.asarray(layer.centres)),
        # Roots show the tails; sixteen shades keep the page small.
        "z": np.round(15 * np.sqrt(layer.shares / top)).astype("uint8"),
        "zmin": 0,
        "zmax": 15,
        "showscale": False,
        "hovertemplate": f"{name}<br>step %{{x}}, value %{{y:.3g}}<extra></extra>",
        "xaxis": panel.x,
        "yaxis": panel.y,
    }


def _steps_axis(steps: Sequence[int]) -> dict[str, Any]:
    """Return the axis of one panel; what was recorded once stands at its step, not at -0.5."""
    title = {"text": "step", "standoff": 2, "font": {"size": 10}}
    if len(set(steps)) > 1:
        return {"title": title, "nticks": 4}
    return {"title": title, "tickvals": list(steps[:1])}


def _title(name: str, limit: int) -> str:
    return plain(name if len(name) <= limit else "…" + name[1 - limit :], FULL_NAME)


def _evenly(count: int, limit: int) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, limit)).tolist()})


def _spread(name: str, histograms: list[Histogram]) -> SpreadInfo:
    ordered = sorted(histograms, key=lambda histogram: histogram.step)
    kept = [ordered[place] for place in _evenly(len(ordered), MAX_STEPS)]
    low = min(histogram.low for histogram in kept)
    high = max(histogram.high for histogram in kept)
    if high <= low:  # one value at every step still needs a bin to stand in
        low, high = low - max(abs(low), 1e-6) * 0.5, high + max(abs(high), 1e-6) * 0.5
    edges = np.linspace(low, high, BINS + 1)
    return SpreadInfo(
        name=name,
        steps=[histogram.step for histogram in kept],
        centres=((edges[:-1] + edges[1:]) / 2).tolist(),
        shares=np.column_stack([_rebinned(histogram, edges) for histogram in kept]),
    )


def _rebinned(histogram: Histogram, edges: Floats) -> Floats:
    """Return the shares of ``histogram`` in the bins between ``edges``, its bins spread evenly."""
    total = histogram.counts.sum()
    if total <= 0:
        return np.zeros(len(edges) - 1)
    if histogram.high <= histogram.low:
        shares, _ = np.histogram([histogram.low], bins=edges)
        return shares.astype("float64")
    own = np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)
    below = np.concatenate([[0.0], np.cumsum(histogram.counts) / total])
    return np.diff(np.interp(edges, own, below))
