"""Figures of one training job's quality: confusion matrix, per-class bars, confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures.theme import (
    BLUE,
    FULL_NAME,
    GREEN,
    ORANGE,
    RED,
    message_figure,
    name_axis,
    new_figure,
    plain,
)

NO_EVALUATION = "The job left no evaluation: it did not finish."
NO_PREDICTIONS = "The job left no predictions."
MAX_BARS = 40
MAX_CELL_TEXTS = 20
# Room for slanted class names below a matrix and its axis title.
LABEL_PIXELS = 150


class ConfusionInfo(NamedTuple):
    """Counts (rows are the true class) and each row's shares (0..1) of it."""

    classes: list[str]
    counts: list[list[int]]
    shares: list[list[float]]
    message: str | None = None


class ClassScoresInfo(NamedTuple):
    """Precision and recall (0..1) of classes, the lowest F1 first; ``hidden`` more left out."""

    labels: list[str]
    precisions: list[float]
    recalls: list[float]
    supports: list[int]
    hidden: int
    message: str | None = None


class ConfidenceInfo(NamedTuple):
    """Predictions by probability: bin centres, accuracy (NaN if none) and count a bin."""

    centres: list[float]
    accuracies: list[float]
    counts: list[int]
    message: str | None = None


def get_confusion_info(evaluation: Mapping[str, Any] | None) -> ConfusionInfo:
    """Return the confusion matrix of ``evaluation`` (see ``TrainingOutput``)."""
    if not evaluation or not evaluation["classes"]:
        return ConfusionInfo([], [], [], NO_EVALUATION)
    counts = np.asarray(evaluation["confusion"], dtype="float64")
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    return ConfusionInfo(
        classes=[str(label) for label in evaluation["classes"]],
        counts=counts.astype("int64").tolist(),
        shares=shares.tolist(),
    )


def confusion_figure(info: ConfusionInfo) -> go.Figure:
    """Return the matrix: colour is the share of the true class, text and hover give counts.

    Up to 20 classes the counts stand in the cells; above, names are thinned out and the hover
    text tells both classes, so that 133 classes stay readable.
    """
    if info.message:
        return message_figure(info.message)
    size = len(info.classes)
    side = int(min(900, max(240, 34 * size)))
    names = [plain(label, limit=FULL_NAME) for label in info.classes]
    figure = new_figure(height=side + LABEL_PIXELS)
    figure.add_heatmap(
        x=names,
        y=names,
        z=np.round(info.shares, 4),
        text=[[str(c) if c else "" for c in row] for row in info.counts],
        texttemplate="%{text}" if size <= MAX_CELL_TEXTS else None,
        zmin=0,
        zmax=1,
        xgap=1 if size <= 60 else 0,
        ygap=1 if size <= 60 else 0,
        colorbar={"tickformat": ".0%", "thickness": 10, "outlinewidth": 0},
        hovertemplate=(
            "true %{y}<br>predicted %{x}<br>images: %{text} (%{z:.0%} of the class)<extra></extra>"
        ),
    )
    figure.update_xaxes(title_text="predicted", showgrid=False, zeroline=False, tickangle=-60)
    figure.update_xaxes(**name_axis(info.classes, pixels=side), type="category")
    figure.update_yaxes(title_text="true", showgrid=False, zeroline=False)
    figure.update_yaxes(**name_axis(info.classes, pixels=side), type="category")
    figure.update_yaxes(range=[size - 0.5, -0.5])
    return figure


def most_confused(info: ConfusionInfo, limit: int = 10) -> list[tuple[str, str, int, float]]:
    """Return (true, predicted, count, share of the true class), most frequent first."""
    pairs = [
        (info.classes[row], info.classes[column], count, info.shares[row][column])
        for row, counts in enumerate(info.counts)
        for column, count in enumerate(counts)
        if row != column and count > 0
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], -pair[3], pair[0], pair[1]))[:limit]


def get_class_scores_info(evaluation: Mapping[str, Any] | None) -> ClassScoresInfo:
    """Return precision and recall per class; of more than 40 classes the 40 with lowest F1."""
    rows: Sequence[Mapping[str, Any]] = (evaluation or {}).get("per_class") or []
    if not rows:
        return ClassScoresInfo([], [], [], [], 0, NO_EVALUATION)
    ordered = sorted(rows, key=lambda row: (_score(row, "f1"), str(row["label"])))
    shown = ordered[:MAX_BARS]
    return ClassScoresInfo(
        labels=[str(row["label"]) for row in shown],
        precisions=[_score(row, "precision") for row in shown],
        recalls=[_score(row, "recall") for row in shown],
        supports=[int(row.get("support") or 0) for row in shown],
        hidden=len(ordered) - len(shown),
    )


def class_scores_figure(info: ClassScoresInfo) -> go.Figure:
    """Return two bars a class, the weakest classes on top."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure(height=90 + 28 * len(info.labels))
    places = list(range(len(info.labels)))
    columns = (("precision", info.precisions, BLUE), ("recall", info.recalls, ORANGE))
    for name, values, color in columns:
        figure.add_bar(
            x=values,
            y=places,
            name=name,
            orientation="h",
            marker_color=color,
            customdata=[
                [plain(label), n] for label, n in zip(info.labels, info.supports, strict=True)
            ],
            hovertemplate="%{customdata[0]} (%{customdata[1]} images)<br>"
            + name
            + " %{x:.1%}<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.3)
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figure.update_yaxes(**name_axis(info.labels))
    figure.update_yaxes(range=[len(places) - 0.5, -0.5], showgrid=False)
    return figure


def get_confidence_info(predictions: pd.DataFrame, bins: int = 10) -> ConfidenceInfo:
    """Return accuracy by predicted probability: does 90% sure mean 90% right?"""
    rows = predictions[predictions["probability"].notna() & predictions["correct"].notna()]
    if rows.empty:
        return ConfidenceInfo([], [], [], NO_PREDICTIONS)
    places = np.minimum((rows["probability"].to_numpy() * bins).astype("int64"), bins - 1)
    counts = np.bincount(places, minlength=bins)
    right = np.bincount(places, weights=rows["correct"].to_numpy(), minlength=bins)
    accuracy = np.divide(right, counts, out=np.full(bins, np.nan), where=counts > 0)
    centres = (np.arange(bins) + 0.5) / bins
    return ConfidenceInfo(centres.tolist(), accuracy.tolist(), counts.tolist())


def confidence_figure(info: ConfidenceInfo) -> go.Figure:
    """Return accuracy bars over confidence, with the line on which they would be honest."""
    if info.message:
        return message_figure(info.message)
    figure = new_figure()
    figure.add_bar(
        x=info.centres,
        y=info.accuracies,
        name="accuracy",
        marker_color=GREEN,
        width=0.9 / len(info.centres),
        customdata=info.counts,
        hovertemplate="%{customdata} predictions<br>%{y:.0%} right<extra></extra>",
    )
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="as confident as accurate",
        line={"color": RED, "width": 1.5, "dash": "dash"},
        hoverinfo="skip",
    )
    figure.update_xaxes(title_text="probability of the prediction", range=[0, 1], tickformat=".0%")
    figure.update_yaxes(title_text="share right", range=[0, 1.02], tickformat=".0%")
    return figure


def _score(row: Mapping[str, Any], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
