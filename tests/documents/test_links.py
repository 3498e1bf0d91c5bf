"""What documents link to is there: files, folders, and titles within a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documents.reading import DOCUMENTS
from tests.sources import relative

_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]*))?\)")


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's titles make, as GitHub spells them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_links_are_found() -> None:
    assert sum(len(_LINK.findall(page.read_text("utf-8"))) for page in DOCUMENTS) > 25


@pytest.mark.parametrize("page", DOCUMENTS, ids=relative)
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, anchor in _LINK.findall(page.read_text("utf-8")):
        linked = page.parent / file if file else page
        assert linked.exists(), file
        assert not anchor or anchor in anchors(linked), f"{file}#{anchor}"


def test_drawings_are_ones_that_mermaid_reads() -> None:
    page = next(page for page in DOCUMENTS if page.name == "architecture.md")
    drawings = re.findall(r"^```mermaid\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    assert [drawing.split()[0] for drawing in drawings] == ["flowchart", "sequenceDiagram"]
    # There it ends a statement, wherever it stands.
    assert ";" not in drawings[1]
