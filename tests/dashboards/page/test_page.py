import base64
import hashlib
import re
import zlib
from importlib.resources import files

import pytest

from dashboards.figures.theme import new_figure
from dashboards.page.markup import Section, paragraph, plot
from dashboards.page.page import render_page

UNSAFE = bytes.maketrans(b",.:", b"<>&")


def page(*blocks, title="A <title>"):
    return render_page(title, "run & more", "foot", [Section(anchor="a", title="T", blocks=blocks)])


def unpacked(html, identifier):
    size, code = re.search(rf'id="{identifier}" data-bytes="(\d+)">([^<]*)</script>', html).groups()
    return zlib.decompress(base64.b85decode(code.encode().translate(UNSAFE))[: int(size)])


def test_plotly_travels_whole_and_the_policy_allows_it_alone():
    html = page(plot("one", "One", new_figure()))
    code = unpacked(html, "plotly-code")
    assert code == (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    own = re.search(r"<script>(.*?)</script>", html, re.DOTALL).group(1)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html).group(1)
    for script in (code, own.encode()):
        digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy
    assert "script-src 'unsafe-inline'" not in policy


def test_nothing_is_loaded_from_outside():
    html = page(paragraph("text"))
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', html) == []
    assert "@import" not in html
    assert "url(" not in html


def test_titles_are_escaped_and_figures_are_data():
    html = page(plot("one", "One", new_figure().add_scatter(y=[1, 2])))
    assert "<h1>A &lt;title&gt;</h1>" in html
    data = unpacked(html, "figure-data").decode()
    assert '"one"' in data
    assert '"light"' in data


def test_one_id_for_two_figures_is_refused():
    slot = plot("one", "One", new_figure())
    with pytest.raises(ValueError, match="one"):
        page(slot, slot)
    with pytest.raises(ValueError, match="'a'"):
        page(plot("a", "Anchor's own id", new_figure()))
