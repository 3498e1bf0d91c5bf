"""Two runs side by side: what was set differently, and what differs in the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dashboards.browse.frame import run_address, way_back
from dashboards.figures.compared import ComparedCurves, compared_curves_figure
from dashboards.figures.curves import get_curve_info
from dashboards.figures.training import LABEL_PIXELS, confusion_figure, get_confusion_info
from dashboards.files.frames import TrainingOutput
from dashboards.page.markup import (
    Block,
    Section,
    folded,
    grid,
    heading,
    paragraph,
    plot,
    shown,
    table,
    text,
)
from dashboards.page.page import render_page


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedRun:
    """A run as one side of a comparison.

    Attributes:
        facts: what came of it, by names that both sides have in common.
        parameters: the whole set, by ``group.name``.
        verdict: the verdict's sentence; empty without one.
        output: the files of its training job.
        data: fingerprint of the data set, empty when it is not known.
    """

    name: str
    facts: Mapping[str, object]
    parameters: Mapping[str, object] = field(default_factory=dict)
    verdict: str = ""
    output: TrainingOutput
    data: str = ""


def comparison_page(left: ComparedRun, right: ComparedRun) -> str:
    """Return the page; raises ValueError when both sides are one run."""
    if left.name == right.name:
        raise ValueError(f"{left.name!r} cannot be compared with itself")
    both = (left, right)
    curves = grid(*(_curve(both, column) for column in ("loss", "accuracy")))
    return render_page(
        title="Two runs side by side",
        subtitle=f"{left.name} · {right.name}",
        footer="Served by whippet ui. Nothing on this page changes a run.",
        sections=[
            Section(anchor="outcome", title="Outcome", blocks=_outcome(both)),
            Section(anchor="parameters", title="Parameters", blocks=_parameters(both)),
            Section(anchor="curves", title="Training curves", blocks=[curves]),
            Section(anchor="confusion", title="Confusion matrices", blocks=[_confusions(both)]),
        ],
    )


def _outcome(both: Sequence[ComparedRun]) -> list[Block]:
    left, right = both
    # In the order of the side that has more of them: the other may lack some in between.
    fullest_first = sorted(both, key=lambda each: len(each.facts), reverse=True)
    names = list(dict.fromkeys(name for each in fullest_first for name in each.facts))
    rows = [(name, *(each.facts.get(name) for each in both)) for name in names]
    other_data = bool(left.data and right.data and left.data != right.data)
    links = " ".join(f'<a href="{text(run_address(e.name))}">{text(e.name)}</a>' for e in both)
    doubt = "The two runs saw different pictures: their accuracies cannot be compared directly."
    return [
        way_back(),
        Block(markup=f'<p class="links">{links}</p>'),
        *([paragraph(doubt, "empty")] if other_data else []),
        _texts(("", left.name, right.name), rows),
        heading("Verdicts"),
        grid(*(paragraph(f"{e.name}: {e.verdict or 'no verdict'}", "empty") for e in both)),
    ]


def _parameters(both: Sequence[ComparedRun]) -> list[Block]:
    left, right = both
    columns = ("parameter", left.name, right.name)
    names = sorted({*left.parameters, *right.parameters})
    rows = [(name, *(each.parameters.get(name) for each in both)) for name in names]
    differing = [row for row in rows if row[1] != row[2]]
    same = [row for row in rows if row[1] == row[2]]
    found = _texts(columns, differing) if differing else None
    return [
        found or paragraph("Both runs have the same parameters.", "empty"),
        *([folded(f"The same in both: {len(same)}", _texts(columns, same))] if same else []),
    ]


def _texts(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Block:
    """Return a table of values of any kind: as texts, they stand in columns of one alignment."""
    found = table(columns, [tuple(shown(value) for value in row) for row in rows])
    return Block(markup=f'<div class="even">{found.markup}</div>')


def _curve(both: Sequence[ComparedRun], column: str) -> Block:
    runs = {each.name: get_curve_info(each.output.metrics, column, None) for each in both}
    figure = compared_curves_figure(ComparedCurves(column, runs))
    return plot(f"curve-{column}", column.capitalize(), figure)


def _confusions(both: Sequence[ComparedRun]) -> Block:
    plots = []
    for place, each in enumerate(both, 1):
        info = get_confusion_info(each.output.evaluation)
        width = LABEL_PIXELS + max(420, 40 * len(info.classes))
        figure = confusion_figure(info)
        plots.append(plot(f"confusion-{place}", each.name, figure, max_width=width))
    return grid(*plots)
