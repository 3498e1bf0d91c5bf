from __future__ import annotations

from sm_entrypoints.rules.catalogue import RULES
from sm_entrypoints.rules.documentation import rules_markdown
from tests.sm_entrypoints.pictures import PROJECT


def test_the_page_of_rules_says_what_the_catalogue_says() -> None:
    page = (PROJECT / "docs/rules.md").read_text(encoding="utf-8")
    assert page == rules_markdown(), "run python -m sm_entrypoints.rules.documentation"


def test_every_rule_has_an_entry() -> None:
    page = rules_markdown()
    assert [rule.name for rule in RULES if page.count(f"\n**{rule.name}**") != 1] == []
