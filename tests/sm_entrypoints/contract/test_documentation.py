from __future__ import annotations

from pathlib import Path

from sm_entrypoints.contract.documentation import hyperparameters_markdown
from sm_entrypoints.contract.hyperparameters import HYPERPARAMETERS

PROJECT = Path(__file__).resolve().parents[3]


def test_the_page_is_what_the_table_says() -> None:
    page = (PROJECT / "docs/hyperparameters.md").read_text(encoding="utf-8")
    written = "run python -m sm_entrypoints.contract.documentation > docs/hyperparameters.md"
    assert page == hyperparameters_markdown(), written


def test_every_hyperparameter_has_a_line_with_all_columns() -> None:
    lines = [line for line in hyperparameters_markdown().splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == list(HYPERPARAMETERS)
    assert {line.count("|") for line in lines} == {6}
