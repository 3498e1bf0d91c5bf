import pytest

from dashboards.files.pictures import read_picture_findings
from tests.worlds.sample_output import CLASSES
from tests.worlds.sample_pictures import document, write_pictures


def told(folder, **more):
    write_pictures(folder, CLASSES, **more)
    return read_picture_findings(folder).document


def test_what_is_told(tmp_path):
    found = told(tmp_path)
    assert found.wrong_sentence == "23 of 3,800 pictures may have the wrong label."
    assert found.alike_sentence == (
        "1 picture looks like one of another split. The data check names 2 more, which are copies."
    )
    assert found.curve_sentence == (
        "Twice as many pictures would bring about +2.1 points of accuracy (± 0.8)."
    )


def test_what_cannot_be_told(tmp_path):
    why = {"points": [], "gain": None, "spread": None, "why_not": "there are too few pictures"}
    found = told(tmp_path, knows=False, look_alikes=None, learning_curve=why)
    assert found.wrong_sentence.startswith("Nothing can be said of the labels")
    assert found.alike_sentence == "Splits were not compared."
    assert found.curve_sentence == (
        "What more pictures would bring cannot be told: there are too few pictures."
    )
    left = told(tmp_path, wrong_labels=None, learning_curve=None)
    assert left.wrong_sentence == "Labels were not examined."
    assert left.curve_sentence == "What more pictures would bring was not examined."


def test_one_and_none(tmp_path):
    one = told(tmp_path, wrong_labels={"count": 1, "items": []}, pictures={"train": 9})
    assert one.wrong_sentence == "1 of 9 pictures may have the wrong label."
    none = told(
        tmp_path,
        wrong_labels={"count": 0, "items": []},
        look_alikes={"count": 0, "bar": 0.9, "items": []},
    )
    assert none.wrong_sentence == "None of 3,800 pictures seems to have a wrong label."
    assert none.alike_sentence == "No picture looks like one of another split to the network."


def test_the_pictures_come_with_it(tmp_path):
    write_pictures(tmp_path, CLASSES)
    found = read_picture_findings(tmp_path)
    assert set(found.images) == {f"pictures/{number}.jpg" for number in range(3)}
    assert {each.media_type for each in found.images.values()} == {"image/jpeg"}
    (tmp_path / "pictures/0.jpg").unlink()
    assert read_picture_findings(tmp_path).images["pictures/0.jpg"].content == b""


def test_no_file(tmp_path):
    assert read_picture_findings(tmp_path) is None


def outside():
    found = document(CLASSES)
    found["wrong_labels"]["items"][0]["file"] = "../../secret.jpg"
    return {"wrong_labels": found["wrong_labels"]}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"version": 2}, "has version 2, but this code reads 1"),
        ({"pictures": "many"}, "pictures.json: pictures: "),
        (outside(), "lies outside the output folder"),
    ],
)
def test_a_file_that_is_none(tmp_path, more, message):
    write_pictures(tmp_path, CLASSES, **more)
    with pytest.raises(ValueError, match=message):
        read_picture_findings(tmp_path)
