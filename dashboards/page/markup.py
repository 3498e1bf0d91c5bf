"""Pieces of HTML: all outside text goes through :func:`text`.

Class names, file names and log lines are not ours: a folder may be called ``<script>``.
"""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go

from dashboards.figures.theme import message_of
from dashboards.files.mistakes import Mistake

# A longer value (a command, a nested setting) gets a row of its own.
WIDE_FACT = 48


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """A piece of a section: its HTML and the figures that its slots show, by their ids."""

    markup: str
    figures: Mapping[str, go.Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Section:
    """A titled part of the page that the navigation names."""

    anchor: str
    title: str
    blocks: Sequence[Block]

    @property
    def markup(self) -> str:
        """Its HTML, below its title if it has one."""
        body = "\n".join(block.markup for block in self.blocks if block.markup)
        title = f"<h2>{text(self.title)}</h2>\n" if self.title else ""
        return f'<section id="{text(self.anchor)}">\n{title}{body}\n</section>\n'


def text(value: object) -> str:
    """Return ``value`` as text for HTML content and for quoted attributes."""
    return html.escape(str(value), quote=True)


def shown(value: object) -> str:
    """Return a value as a reader wants it: numbers short, nothing as a dash, the rest as JSON."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return "—"
    if isinstance(value, bool | str):
        return str(value).lower() if isinstance(value, bool) else value
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e12 else f"{value:.4g}"
    return json.dumps(value, default=str, ensure_ascii=False)


def paragraph(sentence: str, kind: str = "lead") -> Block:
    """Return one paragraph; ``kind`` is a class of the style sheet (lead, note, empty)."""
    return Block(markup=f'<p class="{text(kind)}">{text(sentence)}</p>')


def empty_section(anchor: str, title: str, sentence: str) -> Section:
    """Return a section that only says why it has nothing to show."""
    return Section(anchor=anchor, title=title, blocks=[paragraph(sentence, "empty")])


def heading(title: str) -> Block:
    """Return a heading inside a section."""
    return Block(markup=f"<h3>{text(title)}</h3>")


def facts(pairs: Iterable[tuple[str, object]], kind: str = "facts") -> Block:
    """Return labelled values; ``kind`` is ``facts`` (cards) or ``list`` (two columns)."""
    rows = "".join(_fact(label, shown(value)) for label, value in pairs)
    return Block(markup=f'<dl class="{text(kind)}">{rows}</dl>' if rows else "")


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    marked: int | None = None,
) -> Block:
    """Return a table that scrolls inside its own box; numbers align right, a row may be marked."""
    numeric = [_is_number(value) for value in rows[0]] if rows else [False] * len(columns)
    head = "".join(
        f"{'<th class=number>' if right else '<th>'}{text(column)}</th>"
        for column, right in zip(columns, numeric, strict=True)
    )
    body = "".join(
        f"{_row_tag(index == marked)}{''.join(map(_cell, row))}</tr>"
        for index, row in enumerate(rows)
    )
    return Block(
        markup=f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def bars(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    shares: Sequence[float],
    *,
    title: str,
    full: float,
) -> Block:
    """Return a table whose last column, ``title``, draws each row's share (0..1) as a bar.

    ``full`` is the share of the longest bar.
    """
    numeric = [_is_number(value) for value in rows[0]] if rows else [False] * len(columns)
    head = "".join(
        f"{'<th class=number>' if right else '<th>'}{text(column)}</th>"
        for column, right in zip(columns, numeric, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(map(_cell, row))}"
        f"<td class=share>{_bar(share / (full or 1.0))}{share:.1%}</td></tr>"
        for row, share in zip(rows, shares, strict=True)
    )
    return Block(
        markup=f'<div class="scroll"><table><thead><tr>{head}<th>{text(title)}</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def share_bar(title: str, parts: Sequence[tuple[str, float, str]], unit: str) -> Block:
    """Return one bar cut by (label, value, colour), with a legend of values and shares."""
    total = sum(value for _, value, _ in parts)
    if total <= 0:
        return Block(markup="")
    pieces = "".join(
        f'<span style="width:{100 * value / total:.2f}%;background:{color}"></span>'
        for _, value, color in parts
    )
    legend = "".join(
        f'<li><i style="background:{color}"></i>{text(label)} '
        f"<b>{value:,.1f} {text(unit)}</b> {value / total:.0%}</li>"
        for label, value, color in parts
    )
    return Block(
        markup=f"<figure><figcaption>{text(title)}</figcaption>"
        f'<div class="shares">{pieces}</div><ul class="legend">{legend}</ul></figure>'
    )


def callout(title: str, items: Sequence[tuple[str, str]]) -> Block:
    """Return warnings as a list; each item is its message and, in small, its detail."""
    rows = "".join(
        f"<li>{text(message)}{f'<small>{text(detail)}</small>' if detail else ''}</li>"
        for message, detail in items
    )
    if not rows:
        return Block(markup="")
    return Block(
        markup=f'<aside class="callout"><strong>{text(title)}</strong><ul>{rows}</ul></aside>'
    )


def folded(title: str, block: Block) -> Block:
    """Return ``block`` (no figures: a hidden figure has no width) behind a title that opens it."""
    return Block(markup=f"<details><summary>{text(title)}</summary>{block.markup}</details>")


def plot(
    identifier: str,
    title: str,
    figure: go.Figure,
    note: str = "",
    *,
    max_width: int | None = None,
    min_width: int | None = None,
) -> Block:
    """Return a slot for ``figure`` with its title; a figure with nothing to show is a sentence.

    ``max_width`` (pixels) keeps a figure that should be square from stretching over the page. With
    it, or with ``min_width``, a narrow screen scrolls the figure in its own box rather than shrink
    it to nothing.
    """
    caption = f"<figcaption>{text(title)}{f'<small>{text(note)}</small>' if note else ''}"
    sentence = message_of(figure)
    if sentence is not None:
        empty = f'<p class="empty">{text(sentence)}</p>'
        return Block(markup=f"<figure>{caption}</figcaption>{empty}</figure>")
    height = int(figure.layout.height)
    least = min_width or (min(max_width, 480) if max_width else 0)
    limit = f";max-width:{max_width}px" if max_width else ""
    limit += f";min-width:{least}px" if least else ""
    slot = (
        f'<div class="plot" id="{text(identifier)}" style="height:{height}px{limit}" role="img" '
        f'aria-label="{text(title)}"></div>'
    )
    boxed = f'<div class="scroll">{slot}</div>' if least else slot
    return Block(
        markup=f"<figure>{caption}</figcaption>{boxed}</figure>", figures={identifier: figure}
    )


def grid(*blocks: Block) -> Block:
    """Return blocks side by side where there is room for them."""
    figures = {name: figure for block in blocks for name, figure in block.figures.items()}
    return Block(
        markup=f'<div class="grid">{"".join(block.markup for block in blocks)}</div>',
        figures=figures,
    )


def pictures(mistakes: Sequence[Mistake]) -> Block:
    """Return the mistakes as cards: picture, true class, predicted class and its probability."""
    return Block(markup=f'<ul class="pictures">{"".join(map(_card, mistakes))}</ul>')


def _card(mistake: Mistake) -> str:
    image = '<span class="missing">no picture</span>'
    if mistake.picture:
        code = base64.b64encode(mistake.picture).decode("ascii")
        image = f'<img alt="{text(mistake.path)}" src="data:{mistake.media_type};base64,{code}">'
    return (
        f'<li title="{text(mistake.path)}">{image}'
        f'<span class="true">{text(mistake.label)}</span>'
        f'<span class="wrong">{text(mistake.predicted)} '
        f"<b>{mistake.probability:.0%}</b></span></li>"
    )


def _row_tag(marked: bool) -> str:
    return '<tr class="marked">' if marked else "<tr>"


def _fact(label: str, value: str) -> str:
    opening = '<div class="wide">' if len(value) > WIDE_FACT else "<div>"
    return f"{opening}<dt>{text(label)}</dt><dd>{text(value)}</dd></div>"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bar(share: float) -> str:
    # The column's figure stands right of the longest bar.
    width = 70 * min(1.0, max(0.0, share))
    return f'<span class="bar" style="width:{width:.1f}%"></span>'


def _cell(value: object) -> str:
    opening = '<td class="number">' if _is_number(value) else "<td>"
    return f"{opening}{text(shown(value))}</td>"
