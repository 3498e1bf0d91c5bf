"""The changelog keeps the form of Keep a Changelog 1.1.0."""

from __future__ import annotations

import re

from tests.sources import ROOT

KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_changelog_keeps_the_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert text.startswith("# Changelog\n")
    versions = re.findall(r"^## (.*)$", text, re.M)
    assert versions[0] == "[Unreleased]"
    dated = re.compile(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d")
    assert not [each for each in versions[1:] if not dated.fullmatch(each)]
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= KINDS
