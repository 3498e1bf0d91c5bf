"""docs/settings.md is what its generator writes, and names every setting."""

from __future__ import annotations

from cli.settings_page import page
from platforms import Settings
from tests.sources import ROOT


def test_the_page_is_up_to_date() -> None:
    written = "run python -m cli.settings_page > docs/settings.md"
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == page(), written


def test_the_page_names_every_setting() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `WHIPPET_")]
    assert len(rows) == len(Settings.model_fields)
    for name, row in zip(Settings.model_fields, rows, strict=True):
        assert row.startswith(f"| `WHIPPET_{name.upper()}` |")
        # A default and a sentence.
        assert len(row.split("|")[3].split()) >= 3
