"""What features say about the pictures, as markdown and as lines of a terminal."""

from __future__ import annotations

from dashboards.artifacts.tables import markdown_table
from dashboards.files.pictures import PicturesDocument
from sm_entrypoints.contract.sentences import ended

# An artifact is for a first look; the report shows the pictures.
_ROWS = 20
WRONG_COLUMNS = ("picture", "labelled", "probably", "sure")
CLASS_COLUMNS = ("class", "pictures", "recognised", "most often taken for")


def pictures_markdown(document: PicturesDocument) -> str:
    """Return the findings as the markdown of their artifact."""
    wrong, hard = wrong_rows(document, _ROWS), class_rows(document)
    lines = ["# What the pictures say", "", *(f"- {each}" for each in sentences(document)), ""]
    if wrong:
        lines += ["## Probably the wrong label", "", markdown_table(wrong, WRONG_COLUMNS), ""]
    if hard:
        lines += ["## Hardest classes", "", markdown_table(hard, CLASS_COLUMNS)]
    return "\n".join(lines)


def sentences(document: PicturesDocument) -> list[str]:
    """Return what was found, a sentence each, and what was left out."""
    told = [document.wrong_sentence, document.alike_sentence, document.curve_sentence]
    return [*told, *(ended(each) for each in (*document.notes, *document.left_out))]


def wrong_rows(document: PicturesDocument, most: int) -> list[dict[str, object]]:
    """Return the surest wrong labels as rows of a table, with :data:`WRONG_COLUMNS`."""
    found = document.wrong_labels.items if document.wrong_labels else []
    return [
        {
            "picture": each.place,
            "labelled": each.label,
            "probably": each.suggested,
            "sure": f"{each.probability:.0%}",
        }
        for each in found[:most]
    ]


def class_rows(document: PicturesDocument) -> list[dict[str, object]]:
    """Return the hardest classes as rows of a table, with :data:`CLASS_COLUMNS`."""
    return [
        {
            "class": each.label,
            "pictures": each.pictures,
            "recognised": f"{each.recall:.0%}",
            "most often taken for": f"{each.mistaken_for} ({each.times})",
        }
        for each in document.hard_classes
    ]
