"""The data check as people read it: the artifact of a run."""

from __future__ import annotations

from dashboards.artifacts.tables import markdown_table
from tasks.dataset.document import DataDocument


def data_markdown(found: DataDocument) -> str:
    """Return the data check as the markdown of its artifact."""
    splits = found.splits
    rows = [
        {
            "class": label,
            **{split: part.per_class.get(label, 0) for split, part in splits.items()},
        }
        for label in found.classes
    ]
    rows.append({"class": "**all**", **{s: part.images for s, part in splits.items()}})
    warnings = [f"- {each.message}" for each in found.warnings]
    return "\n".join(
        [
            f"# Data: {found.name}",
            f"Fingerprint `{found.fingerprint[:16]}`, splits from {found.split_source}.",
            "",
            markdown_table(rows, ["class", *splits]),
            "",
            "## Warnings" if warnings else "No warnings.",
            *warnings,
        ]
    )
