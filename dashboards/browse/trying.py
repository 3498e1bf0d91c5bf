"""An endpoint to try: drop a picture, read the answer."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.browse.frame import served_page
from dashboards.page.markup import Block, Section, paragraph, text

# Of an answer, as many as are worth reading.
MOST_ANSWERS = 10


def trying_page(endpoints: Sequence[str], chosen: str | None, problem: str = "") -> str:
    """Return the page for the ``chosen`` one of ``endpoints``, the newest of which is the first.

    ``problem`` says why there is none to try.
    """
    if chosen is None:
        why = problem or "No endpoint is in service: a run deploys one, see `whippet endpoints`."
        blocks = [paragraph(why, "empty")]
    else:
        blocks = [_choice(endpoints, chosen), _drop(chosen)]
    section = Section(anchor="try", title="", blocks=blocks)
    subtitle = "no endpoint in service" if chosen is None else f"endpoint {chosen}"
    return served_page("Try a model", subtitle, [section], script="drop.js")


def _choice(endpoints: Sequence[str], chosen: str) -> Block:
    if len(endpoints) < 2:
        return Block(markup="")
    options = "".join(
        f'<option value="{text(name)}"{" selected" if name == chosen else ""}>{text(name)}</option>'
        for name in endpoints
    )
    return Block(
        markup='<form class="filter" action="/try" method="get"><label>Endpoint '
        f'<select name="endpoint">{options}</select></label><button>Choose</button></form>'
    )


def _drop(endpoint: str) -> Block:
    return Block(
        markup=f'<label class="drop" id="drop" data-endpoint="{text(endpoint)}">'
        "<b>Drop a picture here</b><span>or click to choose one: JPEG or PNG</span>"
        '<input type="file" id="file" accept="image/jpeg,image/png"></label>'
        '<div class="tried"><img id="shown" alt="the picture that was sent" hidden>'
        '<div id="answer" aria-live="polite"></div></div>'
        '<noscript><p class="empty">Dropping a picture needs JavaScript: use '
        "<code>whippet predict FILE</code> instead.</p></noscript>"
    )


def answer_markup(answers: Sequence[tuple[str, float]]) -> str:
    """Return an endpoint's answer as markup: labels with their probabilities, as bars."""
    shown = answers[:MOST_ANSWERS]
    # A meter needs no inline style, which the page's policy forbids.
    rows = "".join(
        f'<tr><td>{text(label)}</td><td class="number">{share:.1%}</td>'
        f'<td><meter min="0" max="1" value="{share:.4f}"></meter></td></tr>'
        for label, share in shown
    )
    more = len(answers) - len(shown)
    note = f"<small>and {more} more</small>" if more else ""
    return (
        "<table><thead><tr><th>label</th><th class=number>probability</th><th></th></tr></thead>"
        f"<tbody>{rows}</tbody></table>{note}"
    )


def refusal_markup(sentence: str) -> str:
    """Return the reason why there is no answer."""
    return paragraph(sentence, "empty").markup
