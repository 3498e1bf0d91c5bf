"""The HTML page around sections: style, navigation, and plotly.js packed inside.

One file that opens from disk without a network. plotly.js (4.8 MB) is embedded as zlib in base 85,
1.84 MB, and unpacked by the browser's ``DecompressionStream``. The page's content policy allows
only the page's own script and plotly.js, both by hash, and no connections at all: even text that
slipped through the escaping could neither run nor call home.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import orjson
import plotly.graph_objects as go

from dashboards.figures.theme import DARK_TEMPLATE, LIGHT_TEMPLATE
from dashboards.page.markup import Section, text

# RFC 1924's base 85 alphabet without the three characters that HTML would read; page.js has it too.
_ALPHABET = np.frombuffer(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%:()*+-;,=.?@^_`{|}~",
    dtype="uint8",
)


class _Packed(NamedTuple):
    code: str
    size: int
    digest: str


def render_page(title: str, subtitle: str, footer: str, sections: Sequence[Section]) -> str:
    """Return the page as one string of HTML; texts are escaped here.

    Raises:
        ValueError: two figures or sections have one id.
    """
    blocks = [block for section in sections for block in section.blocks]
    figures = {name: figure for block in blocks for name, figure in block.figures.items()}
    names = [section.anchor for section in sections]
    names += [name for block in blocks for name in block.figures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"ids must be unique in a page, but {twice} came twice")
    script = _asset("page.js")
    plotly = _packed_plotly()
    data = _pack(_figure_json(figures).encode())
    links = "".join(f'<li><a href="#{text(s.anchor)}">{text(s.title)}</a></li>' for s in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script, plotly)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>\n{_asset('page.css')}</style>\n</head>\n<body>\n"
        f"<header><h1>{text(title)}</h1><p>{text(subtitle)}</p></header>\n"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n'
        f"<main>\n{''.join(section.markup for section in sections)}"
        '<noscript><p class="empty">The figures need JavaScript; the tables and texts do not.</p>'
        f"</noscript>\n</main>\n<footer><p>{text(footer)}</p></footer>\n"
        f"{_holder('figure-data', data)}{_holder('plotly-code', plotly)}"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _figure_json(figures: Mapping[str, go.Figure]) -> str:
    shown = {}
    for identifier, figure in figures.items():
        parts = figure.to_dict()
        # The page brings its own templates; plotly's default one weighs 7 kB a figure.
        parts["layout"].pop("template", None)
        shown[identifier] = {"data": parts["data"], "layout": parts["layout"]}
    content = {"figures": shown, "light": LIGHT_TEMPLATE, "dark": DARK_TEMPLATE}
    # plotly's own function walks through every value first; numbers that are not finite are null.
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _policy(script: str, plotly: _Packed) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; base-uri 'none'; "
        f"form-action 'none'; script-src 'sha256-{digest}' 'sha256-{plotly.digest}'"
    )


def _holder(identifier: str, packed: _Packed) -> str:
    return (
        f'<script type="text/plain" id="{identifier}" data-bytes="{packed.size}">'
        f"{packed.code}</script>\n"
    )


@cache
def _packed_plotly() -> _Packed:
    return _pack((files("plotly") / "package_data" / "plotly.min.js").read_bytes())


def _pack(content: bytes) -> _Packed:
    small = zlib.compress(content, 9)
    code = _base85(small + b"\0" * (-len(small) % 4))
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")
    return _Packed(code, len(small), digest)


def _base85(content: bytes) -> str:
    """Return four bytes as five characters; ``base64.b85encode`` takes ten times as long."""
    words = np.frombuffer(content, dtype=">u4").astype("uint32")
    digits = np.empty((len(words), 5), dtype="uint8")
    for place in range(4, -1, -1):
        digits[:, place] = words % 85
        words //= 85
    return _ALPHABET[digits].tobytes().decode("ascii")


@cache
def _asset(name: str) -> str:
    return (files("dashboards") / name).read_text(encoding="utf-8")
