"""What the network was fed, normalised and not."""

from __future__ import annotations

import pandas as pd
import pytest

from dashboards.files.frames import empty_training_output
from tasks.lint.inputs import lint_inputs

PRETRAINED = {"arguments": {"weights": "channel"}}
RANDOM = {"arguments": {"weights": "none"}}


def inputs(low, high, mean=0.5, std=0.3) -> pd.DataFrame:
    row = {"collection": "inputs", "name": "input", "min": low, "max": high}
    gradient = {"collection": "gradients", "name": "fc.weight", "min": 0.0, "max": 1.0}
    rows = [{**row, "mean": mean, "std": std}, gradient]
    return pd.DataFrame(rows, columns=empty_training_output().reductions.columns)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (-2.118, 2.64),
        (-2.118, 2.2489),  # drawings: mostly white, the mean is far from 0
        (2.2489, 2.64),  # a white batch
        (-0.4, 0.9),  # grey photos
        (None, None),
    ],
)
@pytest.mark.parametrize("training", [PRETRAINED, RANDOM, {}])
def test_normalised_inputs(low, high, training):
    assert lint_inputs(inputs(low, high), training) == []


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 0.98), (0.0, 255.0), (3.0, 240.0)])
def test_inputs_that_are_not_normalised(low, high):
    (found,) = lint_inputs(inputs(low, high), PRETRAINED)
    assert (found.code, found.severity) == ("normalisation-missing", "error")
    assert "0.485, 0.456, 0.406" in found.advice
    (found,) = lint_inputs(inputs(low, high), RANDOM)
    assert found.severity == "warning"


def test_inputs_of_another_convention():
    (found,) = lint_inputs(inputs(-1.0, 1.0), PRETRAINED)
    assert found.code == "normalisation-missing"
    assert lint_inputs(inputs(-1.0, 1.0), RANDOM) == []


def test_constants_that_the_weights_do_not_need():
    nothing = empty_training_output().reductions
    imagenet = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    none = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
    assert lint_inputs(nothing, {**PRETRAINED, "model": imagenet}) == []
    assert lint_inputs(nothing, {**PRETRAINED, "model": {}}) == []
    assert lint_inputs(nothing, {**RANDOM, "model": none}) == []
    (found,) = lint_inputs(nothing, {**PRETRAINED, "model": none})
    assert (found.code, found.severity) == ("normalisation-differs", "warning")
    assert "[1.0, 1.0, 1.0]" in found.evidence
