"""docs/parameters.md is what its generator writes."""

from __future__ import annotations

from cli.documentation import page
from tasks.parameters.options import RUN_OPTIONS
from tests.sources import ROOT


def test_the_page_is_up_to_date():
    written = "run python -m cli.documentation > docs/parameters.md"
    assert (ROOT / "docs" / "parameters.md").read_text("utf-8") == page(), written


def test_the_page_names_every_option():
    for option in RUN_OPTIONS:
        assert f"`{option.flag}`" in page()
