"""What the training of all layers brought, for people."""

from __future__ import annotations

from dashboards.artifacts.tables import markdown_table, markdown_text
from tasks.runs.record_parts import FineTuning


def fine_tuning_markdown(found: FineTuning) -> str:
    """Return the artifact ``fine-tuning``: the sentence, and both models' validation metrics."""
    names = sorted({*found.before, *found.after})
    rows = [
        {
            "metric": name,
            "head": _number(found.before.get(name)),
            "all layers": _number(found.after.get(name)),
        }
        for name in names
    ]
    return "\n".join(
        [
            "# Fine-tuning",
            "",
            markdown_text(found.sentence),
            "",
            markdown_table(rows, ["metric", "head", "all layers"]),
        ]
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
