"""Flows that run other flows: the run gives signs of life, its parts do not."""

from __future__ import annotations

import ast
from pathlib import Path

import flows
from flows.parts import parts_of_a_run

FOLDER = Path(flows.__file__).parent
PARTS = {"sync_data", "search_hyperparameters", "train_instrumented", "deploy_trained"}


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
            called = {
                node.func.id
                for node in ast.walk(each)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            marked = any("parts_of_a_run" in ast.unparse(mark) for mark in each.decorator_list)
            assert marked == bool(called & PARTS), each.name
            with_parts |= {each.name} if marked else set()
    assert with_parts == {"release_model", "train_model", "tune_model", "deploy_model"}
