from __future__ import annotations

import pytest

from sm_entrypoints.contract.arguments import (
    HyperparameterError,
    TrainingArguments,
    parse_arguments,
)


def test_values_are_typed_and_dashes_are_underscores() -> None:
    arguments = parse_arguments(
        ["--batch-size", "16", "--lr", "1e-4", "--model=squeezenet1_1", "--optimizer", '"SGD"']
    )
    assert arguments == TrainingArguments(
        batch_size=16, lr=1e-4, model="squeezenet1_1", optimizer="sgd"
    )


def test_nothing_given_is_the_defaults() -> None:
    assert parse_arguments([]) == TrainingArguments()


@pytest.mark.parametrize(
    ("text", "meaning"), [("True", "true"), ("false", "false"), ("AUTO", "auto")]
)
def test_switches_take_any_case(text: str, meaning: str) -> None:
    assert parse_arguments(["--cache_features", text]).cache_features == meaning


def test_a_tuner_may_write_whole_numbers_as_floats() -> None:
    assert parse_arguments(["--epochs", "4.0"]).epochs == 4


def test_none_is_a_value_of_backbone_lr() -> None:
    assert parse_arguments(["--backbone_lr", "None"]).backbone_lr is None
    assert parse_arguments(["--backbone_lr", "0"]).backbone_lr == 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--learning_rate", "1"], "unknown hyperparameter 'learning_rate': known: .*lr"),
        (["--batch_sise", "1"], "did you mean 'batch_size'"),
        (["--lr", "1", "--lr", "2"], "'lr' is given twice"),
        (["--lr"], "'lr' has no value"),
        (["lr", "1"], "expected --name value, but got 'lr'"),
        (["--lr", "fast"], "lr='fast': must be a number > 0 and <= 100"),
        (["--epochs", "2.5"], "epochs='2.5': must be a whole number >= 1"),
        (["--lr", "0"], "lr='0': must be a number > 0 and <= 100"),
        (["--lr", "nan"], "lr='nan': must be"),
        (["--lr", "inf"], "lr='inf': must be"),
        (["--epochs", "inf"], "epochs='inf': must be a whole number"),
        (["--batch_size", "0"], "batch_size='0': must be a whole number >= 1"),
        (["--label_smoothing", "1"], "label_smoothing='1': must be a number >= 0 and < 1"),
        (["--optimizer", "lion"], "optimizer='lion': must be one of adam, adamw, sgd"),
        (["--cache_features", "yes"], "cache_features='yes': must be one of auto, true, false"),
        (["--cache_features", "true", "--augmentation", "flip"], "needs augmentation=none"),
        (["--cache_features", "true", "--trainable", "all"], "needs trainable=head"),
        (["--views", "2"], "views=2 needs augmentation=flip or standard"),
        (["--views", "65", "--augmentation", "flip"], "views='65': must be a whole number >= 0"),
    ],
)
def test_bad_hyperparameters_are_named(argv: list[str], said: str) -> None:
    with pytest.raises(HyperparameterError, match=said):
        parse_arguments(argv)
