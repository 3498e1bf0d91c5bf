from __future__ import annotations

import pytest

from sm_entrypoints.rules.catalogue import RULES
from sm_entrypoints.rules.documentation import rules_markdown
from sm_entrypoints.rules.rule import Rule
from tests.sm_entrypoints.pictures import PROJECT


def test_the_page_of_rules_says_what_the_catalogue_says() -> None:
    page = (PROJECT / "docs/rules.md").read_text(encoding="utf-8")
    assert page == rules_markdown(), "run python -m sm_entrypoints.rules.documentation"


def test_every_rule_has_an_entry() -> None:
    page = rules_markdown()
    assert [rule.name for rule in RULES if page.count(f"\n**{rule.name}**") != 1] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.name))
def test_a_rules_texts_are_sentences(rule: Rule) -> None:
    for sentence in (rule.description, rule.threshold, rule.recommendation):
        assert sentence[0].isupper() or sentence[0].isdigit()
        assert sentence.endswith(".")
        assert "  " not in sentence
