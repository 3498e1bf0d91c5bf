import re

from dashboards.files.pictures import read_picture_findings
from dashboards.sections.pictures import pictures_section
from tests.worlds.sample_output import CLASSES
from tests.worlds.sample_pictures import write_pictures


def shown(folder, **more):
    write_pictures(folder, CLASSES, **more)
    section = pictures_section(read_picture_findings(folder))
    return "".join(block.markup for block in section.blocks)


def test_every_claim_stands_with_its_picture(tmp_path):
    markup = shown(tmp_path)
    assert "23 of 3,800 pictures may have the wrong label." in markup
    assert "9 more are not shown." in markup
    assert "2 more</summary>" in markup  # twelve at once, the others on a click
    assert markup.count('<span class="wrong">') == 14 + 1 + 1
    assert len(re.findall(r"<img ", markup)) == 14 + 1 + 2
    assert markup.count("no picture") == 1
    assert "cat &amp; dog&#x27;s 97%" in markup
    assert "<script>alert" not in markup


def test_nothing_found(tmp_path):
    markup = shown(
        tmp_path,
        wrong_labels={"count": 0, "items": []},
        look_alikes={"count": 0, "bar": 0.9, "items": []},
        hard_classes=[],
        where={"items": [], "why_not": "vit_b_16 has no map of places before its answer"},
        left_out=["the learning curve: there was no time for it beside the training"],
        learning_curve=None,
    )
    assert "<img" not in markup
    assert "Nothing to show: vit_b_16 has no map of places before its answer." in markup
    assert "the learning curve: there was no time for it beside the training." in markup
