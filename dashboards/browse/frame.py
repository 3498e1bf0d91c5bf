"""The frame of a served page: its style, its way back to the list, and what it may do.

Unlike a report, a served page may load from its own server, and nothing else. Figures are in
:mod:`dashboards.browse.comparison`, whose page is one of :mod:`dashboards.page.page`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from urllib.parse import quote

from dashboards.page.markup import Block, Section, text

# Sent as a header: the page's own files, its own forms, and pictures that a visitor drops.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# The files that pages load, by their names in this package's parent; all else is refused.
ASSETS = {
    "page.css": "text/css; charset=utf-8",
    "browse.css": "text/css; charset=utf-8",
    "drop.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def asset(name: str) -> bytes:
    """Return the content of one of :data:`ASSETS`."""
    return (files("dashboards") / name).read_bytes()


def run_address(name: str) -> str:
    """Return the path of a run's page."""
    return f"/runs/{quote(name, safe='')}"


def file_address(name: str, file: str) -> str:
    """Return the path of a file of a run."""
    return f"{run_address(name)}/files/{quote(file, safe='')}"


def link(address: str, words: object) -> str:
    """Return a link as markup; ``address`` is a path of this server."""
    return f'<a href="{text(address)}">{text(words)}</a>'


def way_back() -> Block:
    """Return the links that lead to the other pages."""
    return Block(markup=f'<p class="way">{link("/", "All runs")} {link("/try", "Try a model")}</p>')


def served_page(title: str, subtitle: str, sections: Sequence[Section], script: str = "") -> str:
    """Return a page as HTML; ``script`` is the name of one of :data:`ASSETS`, if it needs one."""
    styles = "".join(
        f'<link rel="stylesheet" href="/{name}">' for name in ASSETS if name.endswith(".css")
    )
    code = f'<script src="/{text(script)}" defer></script>' if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="/icon.svg">'
        f"<title>{text(title)} · Whippet</title>\n{styles}{code}\n</head>\n<body>\n"
        f"<header>{way_back().markup}<h1>{text(title)}</h1><p>{text(subtitle)}</p></header>\n"
        f"<main>\n{''.join(section.markup for section in sections)}</main>\n</body>\n</html>\n"
    )
