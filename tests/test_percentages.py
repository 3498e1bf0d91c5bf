"""A percentage is written one way, in documents and in what the product says: 73.5%."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

from tests.documents.reading import DOCUMENTS
from tests.sources import SOURCES, relative, text

_SPACED = re.compile(r"[\d}] %(?=[^\w(%{]|$)")
_TEXTS = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}


@pytest.mark.parametrize("page", DOCUMENTS, ids=relative)
def test_documents(page: Path) -> None:
    assert not re.findall(r".*\d %(?!\w).*", page.read_text("utf-8"))


def test_texts_of_the_product() -> None:
    spaced = [
        f"{relative(path)}:{token.start[0]}"
        for path in SOURCES
        if " %" in text(path)
        for token in tokenize.generate_tokens(io.StringIO(text(path)).readline)
        if token.type in _TEXTS and _SPACED.search(token.string)
    ]
    assert not spaced
