"""How long heads learn from a part."""

from __future__ import annotations

from sm_entrypoints.choosing.steps import ENOUGH_STEPS, as_many_steps
from sm_entrypoints.contract.arguments import TrainingArguments


def arguments(epochs: int) -> TrainingArguments:
    return TrainingArguments(epochs=epochs, batch_size=32, warmup_epochs=0.5, patience=2)


def test_all_pictures_are_learned_from_as_was_asked_for() -> None:
    asked = arguments(6)
    assert as_many_steps(asked, part=900, whole=900) == asked


def test_a_part_is_learned_from_in_as_many_steps() -> None:
    found = as_many_steps(arguments(6), part=100, whole=900)
    # 6 epochs of 29 steps, by 4 steps each: 43.5.
    assert found.epochs == 44
    assert found.warmup_epochs == 0.5 * 44 / 6
    assert found.patience == 15
    assert (found.lr, found.batch_size) == (arguments(6).lr, 32)


def test_steps_are_made_up_for_until_there_are_enough() -> None:
    found = as_many_steps(arguments(6), part=3200, whole=32_000)
    assert found.epochs * 100 == ENOUGH_STEPS
    assert as_many_steps(arguments(6), part=32_000, whole=320_000).epochs == 6
