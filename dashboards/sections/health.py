"""The report's sections on the health of tensors, and on what was saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboards.figures.health import (
    broken_tensors,
    get_layers_info,
    get_loss_info,
    layers_figure,
    loss_figure,
)
from dashboards.figures.histograms import get_histogram_info, histogram_figure
from dashboards.files.frames import TrainingOutput
from dashboards.page.markup import (
    Block,
    Section,
    callout,
    folded,
    grid,
    heading,
    paragraph,
    plot,
    table,
)
from sm_entrypoints.contract.sentences import counted

MAX_BROKEN = 10
# Four small maps side by side; less than the width of a printed page.
HISTOGRAM_PIXELS = 680
OPEN_TENSORS = 12
MAX_TENSORS = 500
# Collection, statistic, whether its logarithm is shown, title.
_MAPS = (
    ("gradients", "abs_mean", True, "Gradients: mean absolute value by layer"),
    ("update_ratios", "abs_mean", True, "Update ratio: change of the weights per step"),
    ("weights", "abs_mean", True, "Weights: mean absolute value by layer"),
    ("relu_output", "zero_fraction", False, "Share of ReLU outputs that are zero"),
    ("relu_output", "inactive_fraction", False, "Share of dead ReLU units"),
    ("tanh_input", "inactive_fraction", False, "Share of saturated tanh units"),
    ("sigmoid_input", "inactive_fraction", False, "Share of saturated sigmoid units"),
)
_HISTOGRAMS = {
    "gradients": "Gradients",
    "weights": "Weights",
    "update_ratios": "Update ratios",
    "relu_input": "ReLU inputs",
    "relu_output": "ReLU outputs",
    "inputs": "Inputs of the network",
    "features": "Cached features, the inputs of the head",
    "outputs": "Outputs of the network",
}


def health_section(output: TrainingOutput) -> Section:
    """Return loss by step and the tensors' statistics by layer; NaN and infinities first."""
    reductions = output.reductions
    present = set(reductions["collection"].unique())
    shown = [
        (collection, column, logarithmic, title)
        for collection, column, logarithmic, title in _MAPS
        if collection == "gradients"
        or (collection in present and _is_recorded(output, collection, column))
    ]
    maps = [
        [_map(reductions, *each) for each in shown if each[2] == kind] for kind in (True, False)
    ]
    broken = [
        (f"{collection} {name} from step {step}", f"{nan:,} NaN, {inf:,} infinite")
        for collection, name, step, nan, inf in broken_tensors(reductions)
    ]
    more = (
        [(f"and {len(broken) - MAX_BROKEN} more tensors", "")] if len(broken) > MAX_BROKEN else []
    )
    marks = [mark for mark in output.findings.marks if mark.kind != "profiler"]
    return Section(
        anchor="health",
        title="Tensor health",
        blocks=[
            _health_sentence(output, bool(broken)),
            callout("Values that are not numbers", [*broken[:MAX_BROKEN], *more]),
            plot("step-loss", "Loss of every step", loss_figure(get_loss_info(reductions, marks))),
            # Maps of all layers are tall, those of what learns may be short: rows of one kind.
            *(grid(*row) for row in maps if row),
        ],
    )


def _map(
    reductions: pd.DataFrame, collection: str, column: str, logarithmic: bool, title: str
) -> Block:
    info = get_layers_info(reductions, collection, column, logarithmic=logarithmic)
    return plot(f"layers-{collection}-{column}", title, layers_figure(info))


def tensors_section(output: TrainingOutput) -> Section:
    """Return how values spread over the steps, and the tensors that smdebug saved."""
    collections = list(dict.fromkeys(each.collection for each in output.histograms))
    plots: list[Block] = []
    for collection in collections:
        info = get_histogram_info(output.histograms, collection)
        left_out = f" {info.hidden} more layers are omitted." if info.hidden else ""
        plots.append(
            plot(
                f"histograms-{collection}",
                _HISTOGRAMS.get(collection, collection),
                histogram_figure(info),
                "Values over the steps; a stronger colour means more of the layer's "
                f"values.{left_out}",
                min_width=HISTOGRAM_PIXELS,
            )
        )
    nothing = paragraph("The job recorded no histograms.", "empty")
    return Section(
        anchor="tensors",
        title="Histograms and saved tensors",
        blocks=[*(plots or [nothing]), heading("Saved tensors"), *_saved(output.saved_tensors)],
    )


def _is_recorded(output: TrainingOutput, collection: str, column: str) -> bool:
    rows = output.reductions[output.reductions["collection"] == collection]
    return column in ("abs_mean", "zero_fraction") or bool(rows[column].notna().any())


def _health_sentence(output: TrainingOutput, broken: bool) -> Block:
    recorded = output.summary.get("reductions") or {}
    if output.reductions.empty:
        return paragraph("The job recorded no tensor statistics.")
    dropped = recorded.get("dropped") or 0
    lost = (
        f" {counted(dropped, 'record was', 'records were')} dropped to keep the overhead low."
        if dropped
        else ""
    )
    state = "" if broken else " No value was NaN or infinite."
    return paragraph(
        f"{counted(len(output.reductions), 'statistic was', 'statistics were')} "
        f"recorded.{state}{lost}"
    )


def _saved(saved: Mapping[str, Any]) -> Sequence[Block]:
    tensors = [each for each in saved.get("tensors") or [] if isinstance(each, Mapping)]
    if not tensors:
        return [paragraph("No tensors were saved: the request had no DebugHookConfig.", "empty")]
    size = saved.get("bytes")
    modes: Mapping[str, Any] = saved.get("steps") or {}
    steps = ", ".join(f"{counted(count, f'{mode} step')}" for mode, count in modes.items())
    blocks = [
        paragraph(
            counted(len(tensors), "tensor")
            + (f" in {steps}" if steps else "")
            + (f", {size / 1e6:,.1f} MB" if isinstance(size, int | float) else "")
            + f", read back by {saved.get('source') or 'smdebug'}."
        ),
        _tensor_table(tensors[:OPEN_TENSORS]),
    ]
    rest = tensors[OPEN_TENSORS:MAX_TENSORS]
    if rest:
        hidden = len(tensors) - MAX_TENSORS
        more = f" ({hidden:,} are left out)" if hidden > 0 else ""
        blocks.append(folded(f"{counted(len(rest), 'more tensor')}{more}", _tensor_table(rest)))
    return blocks


def _tensor_table(tensors: Sequence[Mapping[str, Any]]) -> Block:
    columns = ("tensor", "collection", "steps", "modes", "shape", "type", "first", "last")
    rows = [
        (
            str(each.get("name") or ""),
            str(each.get("collection") or ""),
            each.get("steps"),
            ", ".join(map(str, each.get("modes") or [])),
            "x".join(map(str, each.get("shape") or [])) or "scalar",
            str(each.get("dtype") or ""),
            each.get("first_step"),
            each.get("last_step"),
        )
        for each in tensors
    ]
    return table(columns, rows)
