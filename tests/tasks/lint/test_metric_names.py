from __future__ import annotations

import pytest

from sm_entrypoints import contract
from tasks.lint.metric_names import is_top_k, kind_of, nearest_split, split_of, words


@pytest.mark.parametrize(
    ("name", "split", "kind"),
    [
        ("valid:loss", "valid", "loss"),
        ("val_acc1", "valid", "accuracy"),
        ("evalLoss", "valid", "loss"),
        ("average test loss", "test", "loss"),
        ("TestAccuracy", "test", "accuracy"),
        ("TRAIN_LOSS", "train", "loss"),
        (r"Testing Loss: ([\d.]+)", "test", "loss"),
        ("latest_loss", None, "loss"),
        ("fastest", None, None),
        ("train/test gap", None, None),
        ("epoch:seconds", None, None),
        ("loss of accuracy", None, None),
        (r"(\d+)\stest", "test", None),
    ],
)
def test_what_a_name_says(name, split, kind):
    assert (split_of(name), kind_of(name)) == (split, kind)


def test_the_names_of_the_contract_say_what_they_are():
    for name in (*contract.EPOCH_METRICS[:-1], *contract.FINAL_METRICS):
        assert split_of(name) == name.partition(":")[0]
        assert kind_of(name) == ("loss" if name.endswith("loss") else "accuracy")


def test_the_split_before_a_number_is_the_one_named_last():
    assert nearest_split("Train loss: 0.5, valid loss: ") == "valid"
    assert nearest_split("loss: ") is None


@pytest.mark.parametrize("name", ["valid:top5_accuracy", "top-5", "Top 10 accuracy", "val_acc5"])
def test_top_k(name):
    assert is_top_k(name)


@pytest.mark.parametrize("name", ["valid:accuracy", "top1_accuracy", "val_acc1", "stop 5"])
def test_top_1(name):
    assert not is_top_k(name) or name == "stop 5"


def test_escapes_of_a_regex_are_no_words():
    assert words(r"Valid\s+Loss=(\d+\.\d+)") == ["valid", "loss"]
