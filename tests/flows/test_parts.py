"""Flows that run other flows: the run gives signs of life, its parts do not."""

from __future__ import annotations

import ast
from pathlib import Path

import flows
from flows.hooks import parts_of_a_run

FOLDER = Path(flows.__file__).parent
PARTS = {"sync_data", "search_hyperparameters", "train_instrumented", "deploy_trained"}


def called(tree: ast.AST) -> set[str]:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {call.id for call in calls if isinstance(call, ast.Name)}


def test_parts_give_no_signs_of_life_of_their_own():
    from prefect.settings import get_current_settings

    before = get_current_settings().flows.heartbeat_frequency
    assert before is not None
    with parts_of_a_run():
        assert get_current_settings().flows.heartbeat_frequency is None
    assert get_current_settings().flows.heartbeat_frequency == before


def test_every_flow_that_has_parts_says_so():
    with_parts = set()
    for file in FOLDER.glob("*.py"):
        for each in ast.parse(file.read_text("utf-8")).body:
            if not isinstance(each, ast.FunctionDef):
                continue
            quiet = [
                node
                for node in ast.walk(each)
                if isinstance(node, ast.With) and "parts_of_a_run()" in ast.unparse(node.items[0])
            ]
            inside = {name for node in quiet for name in called(node)}
            assert called(each) & PARTS == inside & PARTS, each.name
            with_parts |= {each.name} if quiet else set()
    assert with_parts == {"release_model", "train_model", "tune_model", "deploy_model"}
