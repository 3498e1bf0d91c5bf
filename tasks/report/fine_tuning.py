"""What the training of all layers brought, for people."""

from __future__ import annotations

from dashboards.artifacts.tables import markdown_table, markdown_text
from dashboards.sections.fine_tuning import COLUMNS, FineTuned
from sm_entrypoints import contract
from tasks.runs.record_parts import FineTuning


def fine_tuned(found: FineTuning) -> FineTuned:
    """Return the report's part: the sentence, and both models' validation metrics."""
    names = sorted({*found.before, *found.after})
    return FineTuned(
        sentence=found.sentence,
        rows=[
            [
                name,
                _number(found.before.get(name)),
                _number(found.after.get(name)),
                _change(found, name),
            ]
            for name in names
        ],
    )


def fine_tuning_markdown(found: FineTuning) -> str:
    """Return the artifact ``fine-tuning``: the same for Prefect."""
    shown = fine_tuned(found)
    rows: list[dict[str, object]] = [dict(zip(COLUMNS, row, strict=True)) for row in shown.rows]
    lines = ["# What fine-tuning brought", "", markdown_text(shown.sentence), ""]
    return "\n".join([*lines, markdown_table(rows, list(COLUMNS))])


def _change(found: FineTuning, name: str) -> str:
    """Return what changed in a metric, with its standard error where pictures tell it."""
    of = found.gain and {
        contract.OBJECTIVE_METRIC: found.gain.loss,
        "valid:accuracy": found.gain.accuracy,
    }.get(name)
    if of:
        return f"{of.change:+.4f} ± {of.error:.4f}"
    if name not in found.before or name not in found.after:
        return "-"
    return f"{found.after[name] - found.before[name]:+.4f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
