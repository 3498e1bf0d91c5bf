import json

import pytest

from dashboards.files.mistakes import MAX_PICTURE_BYTES, read_mistakes
from sm_entrypoints import contract

ENTRY = {"file": "mistakes/00.jpg", "path": "a/1.jpg", "label": "a", "predicted": "b"}


def write(folder, *entries):
    listing = folder / contract.MISTAKES_FILE
    listing.write_text(json.dumps(entries))
    return listing


def test_reads_pictures_in_order(output):
    assert [mistake.media_type for mistake in output.mistakes] == ["image/jpeg"] * 20
    assert output.mistakes[0].probability == 0.99
    assert output.mistakes[0].picture.startswith(b"\xff\xd8\xff")


def test_a_missing_picture_leaves_the_mistake(tmp_path):
    (mistake,) = read_mistakes(tmp_path, write(tmp_path, {**ENTRY, "probability": 0.5}))
    assert (mistake.picture, mistake.media_type) == (b"", "")


@pytest.mark.parametrize(
    ("entry", "content", "message"),
    [
        ({**ENTRY, "probability": 1, "file": "../secret.jpg"}, None, "outside the output folder"),
        ({**ENTRY, "probability": 1, "file": "/etc/passwd"}, None, "outside the output folder"),
        (ENTRY, None, "probability"),
        ("text", None, "a JSON object"),
        ({**ENTRY, "probability": 1}, b"<svg onload=alert(1)>", "neither JPEG nor PNG"),
        ({**ENTRY, "probability": 1}, b"\xff\xd8\xff" + bytes(MAX_PICTURE_BYTES), "larger than"),
    ],
)
def test_a_bad_entry_is_named(tmp_path, entry, content, message):
    if content:
        (tmp_path / contract.MISTAKES_FOLDER).mkdir()
        (tmp_path / "mistakes" / "00.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        read_mistakes(tmp_path, write(tmp_path, entry))
    assert "entry 1" in str(raised.value)


@pytest.mark.parametrize("content", ["{}", "no json"])
def test_a_bad_listing_is_named(tmp_path, content):
    listing = tmp_path / contract.MISTAKES_FILE
    listing.write_text(content)
    with pytest.raises(ValueError, match=r"mistakes\.json"):
        read_mistakes(tmp_path, listing)
