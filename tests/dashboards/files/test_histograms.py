import json

import numpy as np
import pytest

from dashboards.figures.histograms import (
    BINS,
    MAX_LAYERS,
    MAX_STEPS,
    get_histogram_info,
    histogram_figure,
)
from dashboards.figures.theme import message_of
from dashboards.files.histograms import Histogram, read_histograms


def histogram(step, name="a", low=0.0, high=1.0, counts=(1, 1), mode="TRAIN"):
    return Histogram(step, mode, "weights", name, low, high, np.array(counts, dtype="float64"))


def test_every_line_becomes_a_histogram(output):
    assert len(output.histograms) == 30 * 5 * 2
    first = output.histograms[0]
    assert (first.step, first.collection, first.name) == (0, "gradients", "features.0.conv.weight")
    assert first.counts.sum() == 300
    assert first.low < 0 < first.high


@pytest.mark.parametrize(
    "fault", [{"edges": [1]}, {"edges": [2, 1]}, {"counts": []}, {"counts": "x"}, {"step": None}]
)
def test_a_malformed_line_is_named(tmp_path, fault):
    row = {"step": 1, "edges": [0, 1], "counts": [1], "name": "a", "collection": "weights"}
    path = tmp_path / "histograms.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps({**row, **fault}) + "\n")
    with pytest.raises(ValueError, match="line 2"):
        read_histograms(path)
    assert read_histograms(tmp_path / "missing.jsonl") == []


def test_nothing_recorded_is_a_sentence(output):
    info = get_histogram_info(output.histograms, "relu_input")
    assert message_of(histogram_figure(info))


def test_histograms_share_bins_and_keep_their_mass():
    info = get_histogram_info(
        [histogram(5, high=2.0), histogram(3), histogram(4, mode="EVAL")], "weights"
    )
    (layer,) = info.layers
    assert layer.steps == [3, 5]
    assert layer.shares.shape == (BINS, 2)
    assert layer.shares.sum(axis=0) == pytest.approx([1.0, 1.0])
    # The first spreads over the lower half only.
    assert layer.shares[BINS // 2 :, 0].sum() == pytest.approx(0.0)
    assert layer.shares[BINS // 2 :, 1].sum() == pytest.approx(0.5)


def test_one_value_at_every_step_and_empty_counts_are_shown():
    same = [histogram(step, low=0.5, high=0.5, counts=(7, 0)) for step in range(3)]
    (layer,) = get_histogram_info(same, "weights").layers
    assert layer.shares.sum(axis=0).tolist() == [1.0, 1.0, 1.0]
    (nothing,) = get_histogram_info([histogram(0, counts=(0, 0))], "weights").layers
    assert nothing.shares.sum() == 0.0
    assert len(histogram_figure(get_histogram_info([histogram(0, counts=(0, 0))], "weights")).data)


def test_many_layers_and_steps_are_thinned_evenly():
    many = [histogram(step, name=f"l{layer}") for layer in range(30) for step in range(100)]
    info = get_histogram_info(many, "weights")
    names = [layer.name for layer in info.layers]
    assert (len(names), names[0], names[-1]) == (MAX_LAYERS, "l0", "l29")
    assert info.hidden == 30 - MAX_LAYERS
    assert (info.layers[0].steps[0], info.layers[0].steps[-1]) == (0, 99)
    assert len(info.layers[0].steps) == MAX_STEPS
    figure = histogram_figure(info)
    assert len(figure.data) == MAX_LAYERS
    assert figure.layout.annotations[0].text == "l0"


def test_what_was_recorded_once_stands_at_its_step():
    once = histogram_figure(get_histogram_info([histogram(7, "Net_a.weight")], "weights"))
    assert list(once.layout.xaxis.tickvals) == [7]
    assert once.layout.xaxis.title.text == "step"
    pair = [histogram(step, f"Net_{layer}.weight") for layer in "ab" for step in (0, 9)]
    titles = histogram_figure(get_histogram_info(pair, "weights")).layout.annotations
    assert [title.text for title in titles] == ["a.weight", "b.weight"]
