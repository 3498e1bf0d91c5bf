"""The section that says why the model is built on this network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dashboards.figures.networks import get_networks_info, networks_figure
from dashboards.figures.theme import message_of
from dashboards.files.networks import read_networks_file
from dashboards.sections.network import EndpointPrice, choice_sentence, network_section
from tests.worlds.networks import networks_document, write_networks


def test_the_table_has_the_winner_first_and_why_others_lost():
    price = EndpointPrice(usd_a_month="84", sentence="An endpoint costs 84 USD a month.")
    section = network_section(networks_document(), price)
    markup = "".join(block.markup for block in section.blocks)
    assert "mobilenet_v2 was chosen among 4 networks. The network with the best" in markup
    assert "The choice took 41% of showing every picture to each." in markup
    assert "93.0 ± 2.0%" in markup
    assert "500 (100%)" in markup
    assert "no better by more than one standard error, and slower" in markup
    assert "not among the best 2 of 3 after 40 pictures" in markup
    assert "&lt;b&gt;no&lt;/b&gt;" in markup
    assert "84 USD a month" in markup
    assert "USD a month</th>" in markup
    assert markup.count(">84</td>") == 4
    assert "best of 8 heads" in markup


def test_a_choice_that_ended_before_all_pictures_says_so():
    document = networks_document()
    assert "were compared on" not in choice_sentence(document)
    for row in document["networks"][:2]:
        row["share"] = 0.634
    told = choice_sentence(document)
    assert "The last 2 were compared on 63% of the pictures. The choice took" in told
    document["networks"][1]["share"] = 0.3
    assert "were compared on" not in choice_sentence(document)


def test_the_figure_tells_the_winner_from_those_that_saw_a_part():
    info = get_networks_info(networks_document())
    assert info.names == ["mobilenet_v2", "resnet50:IMAGENET1K_V1", "squeezenet1_1"]
    assert info.states == ["winner", "saw all pictures", "saw a part"]
    figure = networks_figure(info)
    assert [trace.name for trace in figure.data] == info.states
    assert figure.data[0].y == (93.0,)
    nothing = networks_document()
    nothing["networks"] = nothing["networks"][3:]
    assert message_of(networks_figure(get_networks_info(nothing))) == "No network was measured."


def test_a_file_of_another_kind_is_not_shown(tmp_path: Path):
    assert read_networks_file(tmp_path) is None
    path = write_networks(tmp_path)
    assert read_networks_file(tmp_path) == networks_document()
    path.write_text("[]")
    with pytest.raises(ValueError, match="is not a choice among networks"):
        read_networks_file(tmp_path)
    path.write_text(json.dumps({**networks_document(), "version": 2}))
    with pytest.raises(ValueError, match="has version=2, but this code reads 1"):
        read_networks_file(tmp_path)
