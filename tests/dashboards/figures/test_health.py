import numpy as np
import pandas as pd
import pytest

from dashboards.figures.health import (
    MAX_CELLS,
    MAX_COLUMNS,
    broken_tensors,
    get_layers_info,
    get_loss_info,
    layers_figure,
    loss_figure,
)
from dashboards.figures.theme import message_of
from dashboards.files.frames import empty_training_output
from sm_entrypoints.contract.tensor_records import REDUCTION_COLUMNS

EMPTY = empty_training_output().reductions


def reductions(rows):
    identity = {"epoch": 1, "mode": "TRAIN", "nan": 0, "inf": 0}
    return pd.DataFrame([{**identity, **row} for row in rows], columns=list(REDUCTION_COLUMNS))


@pytest.mark.parametrize(
    "figure",
    [
        layers_figure(get_layers_info(EMPTY, "gradients", "abs_mean")),
        loss_figure(get_loss_info(EMPTY)),
    ],
)
def test_no_reductions_is_a_sentence(figure):
    assert message_of(figure)


def test_layers_are_rows_in_the_order_of_the_model(output):
    info = get_layers_info(output.reductions, "gradients", "abs_mean")
    assert info.names[0] == "features.0.conv.weight"
    assert info.values.shape == (len(info.names), len(info.steps)) == (18, 60)
    assert info.values[0].mean() > info.values[-1].mean()
    assert len(layers_figure(info).data) == 1


def test_zero_has_no_logarithm_and_eval_is_left_out():
    rows = [
        {"step": 0, "collection": "gradients", "name": "a", "abs_mean": 0.0},
        {"step": 1, "collection": "gradients", "name": "a", "abs_mean": 0.01},
        {"step": 2, "collection": "gradients", "name": "a", "abs_mean": 9.0, "mode": "EVAL"},
    ]
    info = get_layers_info(reductions(rows), "gradients", "abs_mean")
    assert np.isnan(info.values[0, 0])
    assert info.values[0, 1] == pytest.approx(-2.0)
    assert info.steps == [0, 1]


def test_many_steps_share_columns():
    rows = [
        {"step": step, "collection": "weights", "name": "a", "abs_mean": 1.0}
        for step in range(1_000)
    ]
    info = get_layers_info(reductions(rows), "weights", "abs_mean", logarithmic=False)
    assert info.values.shape == (1, MAX_COLUMNS)
    assert len(info.steps) == MAX_COLUMNS


def test_a_deep_network_has_fewer_columns():
    rows = [
        {"step": step, "collection": "weights", "name": f"layer{layer}", "abs_mean": step + 1.0}
        for step in range(200)
        for layer in range(100)
    ]
    info = get_layers_info(reductions(rows), "weights", "abs_mean")
    assert info.values.shape == (100, MAX_CELLS // 100)
    (heatmap,) = layers_figure(info).data
    assert heatmap.z[0][-1] == pytest.approx(2.29, abs=0.02)


def test_what_all_names_begin_with_is_left_out():
    rows = [
        {"step": 0, "collection": "gradients", "name": f"gradient/ResNet_{name}", "abs_mean": 1.0}
        for name in ("layer1_0.weight", "layer2_0.weight")
    ]
    info = get_layers_info(reductions(rows), "gradients", "abs_mean")
    assert info.names == ["layer1_0.weight", "layer2_0.weight"]
    assert get_layers_info(reductions(rows[:1]), "gradients", "abs_mean").names == [
        "gradient/ResNet_layer1_0.weight"
    ]


def test_gaps_of_a_map_are_null(output):
    rows = [
        {"step": 0, "collection": "gradients", "name": "a", "abs_mean": 0.0},
        {"step": 1, "collection": "gradients", "name": "a", "abs_mean": 1e-3},
    ]
    (heatmap,) = layers_figure(get_layers_info(reductions(rows), "gradients", "abs_mean")).data
    assert heatmap.to_plotly_json()["z"] == [[None, -3.0]]


def test_rules_stand_on_the_loss_of_their_step(output):
    marks = [mark for mark in output.findings.marks if mark.kind == "tensor"]
    info = get_loss_info(output.reductions, marks)
    assert info.marks.x == [400.0, 410.0, 411.0]
    assert len(loss_figure(info).data) == 3


def test_loss_keeps_its_spikes_and_is_smoothed():
    rows = [
        {"step": step, "collection": "losses", "name": "loss", "mean": 50.0 if step == 7 else 1.0}
        for step in range(5_000)
    ]
    info = get_loss_info(reductions(rows))
    assert max(info.losses) == 50.0
    assert set(info.smooth) == {1.0}
    assert len(loss_figure(info).data) == 2


def test_broken_tensors_name_the_first_step():
    rows = [
        {"step": 3, "collection": "gradients", "name": "b", "nan": 2},
        {"step": 5, "collection": "gradients", "name": "b", "nan": 4},
        {"step": 1, "collection": "weights", "name": "a", "inf": 1},
        {"step": 1, "collection": "weights", "name": "fine"},
    ]
    assert broken_tensors(reductions(rows)) == [
        ("weights", "a", 1, 0, 1),
        ("gradients", "b", 3, 6, 0),
    ]
    assert broken_tensors(EMPTY) == []


def colours(rows, collection, column, *, logarithmic=True):
    info = get_layers_info(reductions(rows), collection, column, logarithmic=logarithmic)
    (heatmap,) = layers_figure(info).data
    return info.names, (heatmap.zmin, heatmap.zmax)


def test_a_share_has_one_scale_and_its_layer_no_suffix():
    rows = [
        {
            "step": 0,
            "collection": "relu_output",
            "name": f"Net_{layer}_output_0",
            "zero_fraction": 0.3,
        }
        for layer in ("a.relu", "b.relu")
    ]
    names, span = colours(rows, "relu_output", "zero_fraction", logarithmic=False)
    assert (names, span) == (["a.relu", "b.relu"], (0, 1))
    # A layer with two outputs keeps what tells them apart.
    second = {**rows[0], "name": "Net_a.relu_output_1"}
    assert "a.relu_output_0" in colours([*rows, second], "relu_output", "zero_fraction")[0]


def test_one_extreme_does_not_take_all_colours():
    ratios = {"a": 1e-3, "b": 2e-3, "c": 5e-3, "starts_at_zero": 1e6}
    rows = [
        {"step": 0, "collection": "update_ratios", "name": name, "abs_mean": value}
        for name, value in ratios.items()
    ]
    _, (low, high) = colours(rows, "update_ratios", "abs_mean")
    assert (low, high) == (pytest.approx(-3), pytest.approx(1.5, abs=0.1))
    # Layers that are alike look alike.
    _, (low, high) = colours(rows[:1], "update_ratios", "abs_mean")
    assert high - low == pytest.approx(1)
