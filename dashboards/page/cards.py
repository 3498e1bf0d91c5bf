"""Pictures as cards: one or two pictures, and what is true and wrong about them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.files.pictures import Picture
from dashboards.page.markup import Block, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Pictures side by side, with lines under them.

    ``title`` shows on hovering, and is what a picture is called that cannot be seen; ``right`` and
    ``wrong`` are marked as such, ``note`` is small.
    """

    title: str
    images: Sequence[Picture | None]
    right: str = ""
    wrong: str = ""
    note: str = ""


def cards(found: Sequence[Card]) -> Block:
    """Return cards in rows, as many in each as there is room for."""
    return Block(markup=f'<ul class="pictures">{"".join(map(_card, found))}</ul>')


def _card(card: Card) -> str:
    pair = " class=pair" if len(card.images) > 1 else ""
    images = "".join(_image(each, card.title) for each in card.images)
    wrong = f'<span class="wrong">{text(card.wrong)}</span>' if card.wrong else ""
    right = f'<span class="true">{text(card.right)}</span>' if card.right else ""
    note = f"<small>{text(card.note)}</small>" if card.note else ""
    title = text(card.title)
    return f'<li{pair} title="{title}"><div class="shots">{images}</div>{wrong}{right}{note}</li>'


def _image(picture: Picture | None, title: str) -> str:
    if picture is None or not picture.content:
        return '<span class="missing">no picture</span>'
    code = base64.b64encode(picture.content).decode("ascii")
    return f'<img alt="{text(title)}" src="data:{picture.media_type};base64,{code}">'
