import base64
import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from dashboards.artifacts.charts import (
    cpu_timeline_svg,
    markdown_image,
    phase_share_svg,
    svg_data_uri,
    training_curves_svg,
)
from dashboards.figures.theme import SPLIT_COLORS
from dashboards.files.frames import empty_training_output
from sm_entrypoints import contract

MAX_BYTES = 60_000


def all_charts(output):
    return {
        "curves": training_curves_svg(output.metrics),
        "phases": phase_share_svg(output.steps, output.summary),
        "cpu": cpu_timeline_svg(output.system),
    }


@pytest.mark.slow
def test_charts_are_small_valid_and_the_same_every_time(output):
    charts = all_charts(output)
    assert charts == all_charts(output)
    for svg in charts.values():
        assert ET.fromstring(svg).tag.endswith("svg")
        assert len(svg.encode()) <= MAX_BYTES
    assert "data wait" in charts["phases"]
    for color in SPLIT_COLORS.values():
        assert color in charts["curves"]


def test_charts_of_nothing_say_so():
    for svg in all_charts(empty_training_output()).values():
        assert "The job re" in svg


@pytest.mark.parametrize(
    "epochs",
    [1, pytest.param(40, marks=pytest.mark.slow), pytest.param(400, marks=pytest.mark.slow)],
)
def test_long_trainings_stay_small(epochs):
    rows = [
        {"epoch": epoch, "split": split, "loss": 1 / epoch, "accuracy": 1 - 1 / epoch}
        for epoch in range(1, epochs + 1)
        for split in ("train", "valid")
    ]
    svg = training_curves_svg(pd.DataFrame(rows, columns=list(contract.METRIC_COLUMNS)))
    assert len(svg.encode()) <= MAX_BYTES


def test_an_image_carries_its_svg():
    image = markdown_image("<svg/>", "curves [of\na run]")
    head, data = image.removesuffix(")").split("](", 1)
    assert head == "![curves \\[of a run\\]"
    assert data == svg_data_uri("<svg/>")
    assert base64.b64decode(data.split(",", 1)[1]) == b"<svg/>"
