"""Figures of the data check: the number of images of each class, and their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import plotly.graph_objects as go

from dashboards.figures.theme import (
    BLUE,
    ORANGE,
    SPLIT_COLORS,
    message_figure,
    name_axis,
    new_figure,
    plain,
)

NO_DATA = "The data was not checked in this run."
MAX_NAMED_CLASSES = 40


class ClassCountsInfo(NamedTuple):
    """Images per class and split; classes by falling total."""

    classes: list[str]
    counts: dict[str, list[int]]
    message: str | None = None


class SizesInfo(NamedTuple):
    """Smallest, median and largest width and height, in pixels."""

    ranges: dict[str, tuple[float, float, float]]
    message: str | None = None


def get_class_counts_info(data: Mapping[str, Any] | None) -> ClassCountsInfo:
    """Return the class counts of a data check (``tasks.data``'s dict)."""
    splits = (data or {}).get("splits") or {}
    counts = {
        split: splits[split].get("per_class") or {} for split in SPLIT_COLORS if split in splits
    }
    classes = {str(label) for per_class in counts.values() for label in per_class}
    classes |= {str(label) for label in (data or {}).get("classes") or []}
    if not classes or not counts:
        return ClassCountsInfo([], {}, NO_DATA)
    ordered = sorted(classes, key=lambda c: (-sum(int(p.get(c, 0)) for p in counts.values()), c))
    return ClassCountsInfo(
        ordered,
        {split: [int(p.get(label, 0)) for label in ordered] for split, p in counts.items()},
    )


def class_counts_figure(info: ClassCountsInfo) -> go.Figure:
    """Return stacked bars: horizontal and all named up to 40 classes, else vertical."""
    if info.message:
        return message_figure(info.message)
    size = len(info.classes)
    lying = size <= MAX_NAMED_CLASSES
    figure = new_figure(height=90 + 22 * size if lying else 340)
    places = list(range(size))
    for split, counts in info.counts.items():
        ends = (counts, places) if lying else (places, counts)
        figure.add_bar(
            x=ends[0],
            y=ends[1],
            orientation="h" if lying else "v",
            name=split,
            marker_color=SPLIT_COLORS[split],
            customdata=[
                [plain(label), count] for label, count in zip(info.classes, counts, strict=True)
            ],
            hovertemplate="%{customdata[0]}: %{customdata[1]} images<extra>" + split + "</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.25)
    if lying:
        figure.update_yaxes(**name_axis(info.classes), showgrid=False)
        figure.update_yaxes(range=[size - 0.5, -0.5])
        figure.update_xaxes(title_text="images")
    else:
        figure.update_xaxes(**name_axis(info.classes, pixels=800), showgrid=False, tickangle=-60)
        figure.update_yaxes(title_text="images")
    return figure


def get_sizes_info(data: Mapping[str, Any] | None) -> SizesInfo:
    """Return the image sizes of a data check (``tasks.data``'s dict)."""
    sizes = (data or {}).get("sizes") or {}
    ranges = {
        side: (float(ends["min"]), float(ends["median"]), float(ends["max"]))
        for side, ends in sizes.items()
        if side in ("width", "height") and ends and None not in ends.values()
    }
    return SizesInfo(ranges, None if ranges else "The sizes of the images are not known.")


def sizes_figure(info: SizesInfo) -> go.Figure:
    """Return one bar a side from the smallest to the largest image, the median marked."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure(height=100 + 36 * len(info.ranges))
    sides = list(info.ranges)
    figure.add_bar(
        x=[high - low for low, _, high in info.ranges.values()],
        base=[low for low, _, _ in info.ranges.values()],
        y=sides,
        orientation="h",
        name="smallest to largest",
        marker_color=BLUE,
        opacity=0.45,
        width=0.35,
        customdata=[[low, high] for low, _, high in info.ranges.values()],
        hovertemplate="%{customdata[0]:.0f} to %{customdata[1]:.0f} px<extra>%{y}</extra>",
    )
    figure.add_scatter(
        x=[median for _, median, _ in info.ranges.values()],
        y=sides,
        mode="markers",
        name="median",
        marker={"symbol": "line-ns-open", "size": 18, "color": ORANGE, "line": {"width": 3}},
        hovertemplate="median %{x:.0f} px<extra>%{y}</extra>",
    )
    figure.update_xaxes(title_text="pixels", rangemode="tozero")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure
