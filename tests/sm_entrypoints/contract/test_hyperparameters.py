from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING, fields
from typing import get_args, get_type_hints

import pytest

from sm_entrypoints.contract.arguments import HyperparameterError, TrainingArguments
from sm_entrypoints.contract.hyperparameters import HYPERPARAMETERS, Bounds, hyperparameter

ROWS = list(HYPERPARAMETERS.values())


def test_the_typed_arguments_have_a_field_a_row_of_the_rows_type_and_words() -> None:
    hints = get_type_hints(TrainingArguments)
    assert sorted(hints) == list(HYPERPARAMETERS)
    for row in ROWS:
        hint = hints[row.name]
        if row.domain is None or isinstance(row.domain, Bounds):
            assert hint == (row.kind | None if row.optional else row.kind), row.name
        else:
            assert get_args(hint) == row.domain, row.name


def test_defaults_are_the_rows_and_are_allowed() -> None:
    for each in fields(TrainingArguments):
        assert each.default is not MISSING
        assert each.default == HYPERPARAMETERS[each.name].default
        assert HYPERPARAMETERS[each.name].read(each.default) == each.default


def test_a_row_says_what_it_is_for_in_a_sentence_or_two() -> None:
    assert all(row.help[0].isupper() and row.help.endswith(".") for row in ROWS)


@pytest.mark.parametrize("row", [row for row in ROWS if isinstance(row.domain, Bounds)])
def test_the_ends_of_bounds_are_allowed_unless_they_are_open(row) -> None:
    for end, is_open in (
        (row.domain.low, row.domain.open_low),
        (row.domain.high, row.domain.open_high),
    ):
        if is_open:
            with pytest.raises(ValueError, match=row.name):
                row.read(end)
        else:
            assert row.read(str(end)) == end
    for outside in (row.domain.low - 1, row.domain.high + 1, "nan", "inf", "many", True):
        with pytest.raises(ValueError, match=rf"hyperparameter {row.name}=.*: must be a"):
            row.read(outside)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "4.0", 4),
        ("seed", "2147483647", 2**31 - 1),
        ("lr", " 1e-3 ", 0.001),
        ("optimizer", " SGD ", "sgd"),
        ("cache_features", True, "true"),
        ("backbone_lr", "None", None),
        ("backbone_lr", "", None),
        ("rules", "Overfit=off", "Overfit=off"),
    ],
)
def test_text_of_the_wire_is_read_as_it_was_meant(name, text, value) -> None:
    found = hyperparameter(name).read(text)
    assert found == value
    assert type(found) is type(value)


def test_values_that_are_set_in_code_are_typed_and_checked_too() -> None:
    assert TrainingArguments(optimizer="SGD").optimizer == "sgd"  # type: ignore[arg-type]
    with pytest.raises(HyperparameterError, match=r"lr=0: must be a number > 0 and <= 100"):
        TrainingArguments(lr=0)


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"'warmup': did you mean 'warmup_epochs'\? Known: aug"):
        hyperparameter("warmup")


def test_the_table_needs_the_standard_library_only() -> None:
    code = "import sys, sm_entrypoints.contract\nprint(*{'torch', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
