import pytest

from dashboards.figures.curves import curve_figure, get_curve_info
from dashboards.figures.theme import RED, message_of
from dashboards.files.findings import Mark
from dashboards.files.frames import empty_training_output


def test_nothing_to_show_is_a_sentence():
    metrics = empty_training_output().metrics
    mark = Mark(rule="r", step=1, epoch=1, mode="TRAIN", subject="", message="")
    assert message_of(curve_figure(get_curve_info(metrics, "loss", None, [mark])))


def test_curves_have_a_line_a_split(output):
    info = get_curve_info(output.metrics, "loss", 10)
    assert list(info.lines) == ["train", "valid", "test"]
    assert info.lines["test"] == ([10.0], [0.71])
    figure = curve_figure(info)
    assert [trace.name for trace in figure.data] == ["train", "valid", "test"]
    assert figure.layout.shapes[0].x0 == 10


def test_rules_stand_on_the_training_curve(output):
    marks = [mark for mark in output.findings.marks if mark.kind == "tensor"]
    info = get_curve_info(output.metrics, "loss", 10, marks, output.steps)
    # Epoch 9 of 12 has steps 400 to 449; three marks of a rule are enough.
    assert info.marks.x == pytest.approx([8.02, 8.22, 8.24], abs=0.01)
    low, high = sorted(info.lines["train"][1][7:9])
    assert all(low <= y <= high for y in info.marks.y)
    assert "Overfit" in info.marks.texts[0]
    assert "0.71 above 0.63 &lt;i&gt;of train&lt;/i&gt;" in info.marks.texts[0]
    figure = curve_figure(info)
    assert figure.data[-1].name == "rule triggered"
    assert figure.data[-1].marker.color == RED
