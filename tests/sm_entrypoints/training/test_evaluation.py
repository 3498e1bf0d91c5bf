from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from sm_entrypoints import contract
from sm_entrypoints.images.batches import Batch
from sm_entrypoints.training.evaluation import Evaluation, Scores, confusion_matrix, report
from sm_entrypoints.training.state import metrics_row


def scored(logits: list[list[float]], labels: list[int], batch: int) -> Scores:
    """Score given logits through a network that looks them up."""
    table, truth = torch.tensor(logits), torch.tensor(labels)
    indices = torch.split(torch.arange(len(labels)), batch)
    batches = [Batch(table[rows], truth[rows], rows) for rows in indices]

    def same(inputs: Tensor) -> Tensor:
        return inputs

    evaluation = Evaluation(network=nn.Identity(), class_count=len(logits[0]), prepare=same)
    return evaluation.score(batches, truth)


LOGITS = [[2.0, 0.0, 0.0], [0.0, 1.0, 3.0], [0.0, 4.0, 0.0], [5.0, 0.0, 0.0]]
LABELS = [0, 1, 1, 2]


def test_means_are_over_samples() -> None:
    means = scored(LOGITS, LABELS, 4).means()
    expected = [
        math.log(sum(map(math.exp, row))) - row[label]
        for row, label in zip(LOGITS, LABELS, strict=True)
    ]
    assert means["loss"] == pytest.approx(sum(expected) / 4, abs=1e-6)
    assert means["accuracy"] == 0.5
    assert means["top5_accuracy"] is None


def test_a_line_of_metrics_has_the_columns_that_reports_read() -> None:
    row = metrics_row(3, contract.TEST_CHANNEL, scored(LOGITS, LABELS, 4).means(), (4, 0.5, None))
    assert tuple(row) == contract.METRIC_COLUMNS
    assert (row["epoch"], row["accuracy"], row["samples"], row["seconds"]) == (3, 0.5, 4, 0.5)


@pytest.mark.parametrize("batch", [1, 3])
def test_means_do_not_depend_on_the_batch(batch: int) -> None:
    assert scored(LOGITS, LABELS, batch).means() == scored(LOGITS, LABELS, 4).means()


def test_top_five_counts_from_five_classes() -> None:
    rows = [[float(-index) for index in range(6)]] * 2
    assert scored(rows, [4, 5], 2).means()["top5_accuracy"] == 0.5


def test_probabilities_belong_to_prediction_and_label() -> None:
    scores = scored([[math.log(3.0), 0.0, math.log(4.0)]], [0], 1)
    assert scores.predicted.tolist() == [2]
    assert float(scores.probability[0]) == pytest.approx(0.5)
    assert float(scores.label_probability[0]) == pytest.approx(0.375)


def test_the_report_counts_true_classes_in_rows() -> None:
    scores = scored(LOGITS, LABELS, 4)
    assert confusion_matrix(scores).tolist() == [[1, 0, 0], [0, 1, 1], [1, 0, 0]]
    document = report("test", scores, ("a", "b", "c"))
    assert document["samples"] == 4
    first, second, third = document["per_class"]
    assert first == {
        "label": "a",
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 1,
    }
    assert (second["precision"], second["recall"]) == (1.0, 0.5)
    assert (third["precision"], third["recall"], third["f1"]) == (0.0, 0.0, 0.0)
