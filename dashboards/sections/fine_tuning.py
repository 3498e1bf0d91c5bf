"""The report's section on what the training of all layers brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.page.markup import Section, paragraph, table

COLUMNS = ("metric", "head alone", "all layers", "change")


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuned:
    """What fine-tuning brought: a sentence, and rows of :data:`COLUMNS`."""

    sentence: str
    rows: Sequence[Sequence[str]]


def fine_tuning_section(found: FineTuned) -> Section:
    """Return both models' validation beside each other, and what is between them."""
    return Section(
        anchor="fine-tuning",
        title="What fine-tuning brought",
        blocks=[
            paragraph(found.sentence),
            table(COLUMNS, found.rows),
            paragraph(
                "Both models saw the same validation pictures. A change has its standard error, "
                "from the differences picture by picture: what is less than twice that may be "
                "chance. The search used these pictures too, so look at the test split for a "
                "number to quote.",
                "note",
            ),
        ],
    )
