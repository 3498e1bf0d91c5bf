"""The report's section on the pictures: labels, look-alikes, what more of them would bring."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.learning_curve import get_learning_curve_info, learning_curve_figure
from dashboards.files.pictures import (
    LookAlike,
    PictureFindings,
    PicturesDocument,
)
from dashboards.page.cards import Card, cards
from dashboards.page.markup import (
    Block,
    Section,
    folded,
    grid,
    heading,
    paragraph,
    plot,
    table,
)
from sm_entrypoints.contract.sentences import counted, ended

# Beyond these, a title opens the rest.
_SHOWN = 12
_SHOWN_PAIRS = 6


def pictures_section(findings: PictureFindings) -> Section:
    """Return everything that the features of the pictures told."""
    document = findings.document
    blocks = [
        paragraph(_lead(document)),
        heading("Labels"),
        paragraph(document.wrong_sentence),
        *_wrong(findings),
        heading("Look-alikes across splits"),
        paragraph(document.alike_sentence),
        *_alike(findings),
        heading("More pictures"),
        paragraph(document.curve_sentence),
        *_curve(document),
        heading("Where the network looked"),
        *_where(findings),
        *(paragraph(ended(note), "note") for note in (*document.notes, *document.left_out)),
    ]
    return Section(anchor="pictures", title="What the pictures say", blocks=blocks)


def _lead(document: PicturesDocument) -> str:
    accuracy = document.accuracy
    right = "" if accuracy is None else f" They name {accuracy:.0%} of the pictures as labelled."
    return (
        f"{counted(document.total, 'picture')}, as {document.network} sees them without having "
        f"been trained on them. Quick heads that learned from the others judged each one.{right}"
    )


def _wrong(findings: PictureFindings) -> list[Block]:
    wrong = findings.document.wrong_labels
    if not wrong or not wrong.items:
        return []
    made = [
        Card(
            title=each.place,
            images=[findings.images.get(each.file)],
            wrong=each.label,
            right=f"{each.suggested} {each.probability:.0%}",
            note=each.split,
        )
        for each in wrong.items
    ]
    more = wrong.count - len(wrong.items)
    note = [paragraph(f"{more:,} more are not shown.", "note")] if more else []
    lead = paragraph(
        "The label in red, what it may show instead in green. Look before you move one: not "
        "every such claim is right.",
        "note",
    )
    return [lead, *_some(made, _SHOWN), *note]


def _alike(findings: PictureFindings) -> list[Block]:
    alike = findings.document.look_alikes
    if not alike or not alike.items:
        return []
    lead = paragraph(
        "What a network has learned from one split, it finds again in the other: results on such "
        f"pictures are too good. These are more alike than {alike.bar:.2f} (1 is the same).",
        "note",
    )
    return [lead, *_some([_alike_card(each, findings) for each in alike.items], _SHOWN_PAIRS)]


def _alike_card(pair: LookAlike, findings: PictureFindings) -> Card:
    first, second = pair.first, pair.second
    same = first.label == second.label
    return Card(
        title=f"{first.place} and {second.place}",
        images=[findings.images.get(first.file), findings.images.get(second.file)],
        wrong="" if same else f"{first.label} and {second.label}",
        note=f"{first.split} and {second.split}, {pair.cosine:.3f}"
        + (f", {first.label}" if same else ""),
    )


def _curve(document: PicturesDocument) -> list[Block]:
    curve = plot(
        "learning-curve",
        "Accuracy by pictures learned from",
        learning_curve_figure(get_learning_curve_info(document.learning_curve)),
        "Quick heads on this network's features; bars: standard error.",
    )
    rows = [
        (each.label, each.pictures, f"{each.recall:.0%}", f"{each.mistaken_for} ({each.times})")
        for each in document.hard_classes
    ]
    if not rows:
        return [curve]
    columns = ("hardest classes", "pictures", "recognised", "most often taken for")
    return [grid(curve, Block(markup=f"<div>{table(columns, rows).markup}</div>"))]


def _where(findings: PictureFindings) -> list[Block]:
    where = findings.document.where
    if not where.items:
        return [paragraph(ended(f"Nothing to show: {where.why_not or 'no mistakes'}"), "empty")]
    lead = paragraph(
        "The worst mistakes: what is bright made the network give its answer (class activation "
        "maps). Where it looked past the thing itself, it learned something else.",
        "note",
    )
    made = [
        Card(
            title=each.place,
            images=[findings.images.get(each.picture), findings.images.get(each.file)],
            right=each.label,
            wrong=f"{each.predicted} {each.probability:.0%}",
        )
        for each in where.items
    ]
    return [lead, *_some(made, _SHOWN_PAIRS)]


def _some(made: Sequence[Card], most: int) -> list[Block]:
    rest = made[most:]
    if not rest:
        return [cards(made)]
    return [cards(made[:most]), folded(f"{counted(len(rest), 'more', 'more')}", cards(rest))]
