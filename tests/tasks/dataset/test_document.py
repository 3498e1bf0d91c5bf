from __future__ import annotations

import json

import pytest

from platforms.errors import DataError
from platforms.files import write_json
from tasks.dataset.document import DataDocument, SplitCounts, read_document, write_document
from tasks.dataset.findings import warning
from tasks.runs.record import DATA_FILE

# As it was written before the document had a model.
EARLIER = {
    "name": "pets-1a2b3c",
    "root": "/data/pets",
    "fingerprint": "3f2a9c" * 10,
    "classes": ["chat \U0001f408", "dog"],
    "splits": {"train": {"images": 5, "per_class": {"chat \U0001f408": 2, "dog": 3}}},
    "bytes": 5_400,
    "sizes": {"width": {"min": 1, "median": 2, "max": 3}},
    "warnings": [{"code": "near_duplicate", "message": "Two are alike.", "paths": ["a", "b"]}],
    "split_source": "folders",
}


def test_an_earlier_document_opens_and_is_written_as_it_was(awkward_path):
    write_json(awkward_path / DATA_FILE, EARLIER)
    before = (awkward_path / DATA_FILE).read_bytes()
    document = read_document(awkward_path)
    assert document.images == 5
    assert document.warnings[0].paths == ("a", "b")
    write_document(awkward_path, document)
    assert (awkward_path / DATA_FILE).read_bytes() == before


def test_what_others_wrote_beside_it_and_what_is_missing_do_no_harm(awkward_path):
    needed = ("name", "root", "fingerprint", "classes", "splits")
    values = {name: EARLIER[name] for name in needed}
    write_json(awkward_path / DATA_FILE, {**values, "of_tomorrow": {"x": 1}})
    document = read_document(awkward_path)
    assert (document.warnings, document.bytes, document.left_out) == ([], 0, None)


def test_what_was_left_out_is_kept(awkward_path):
    document = DataDocument(
        name="pets",
        root="/pets",
        fingerprint="0",
        classes=["a"],
        splits={"train": SplitCounts(images=1, per_class={"a": 1})},
        warnings=[warning("bad_files", "1 file is left out.", ["l'été\udcff.jpg"])],
        left_out=1,
        left_out_list="/runs/x/skipped.csv",
    )
    write_document(awkward_path, document)
    assert read_document(awkward_path) == document


def test_a_run_whose_data_was_not_checked_has_none(awkward_path):
    assert read_document(awkward_path) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "all of it: Input should be a valid dictionary"),
        (json.dumps({**EARLIER, "splits": {"train": 3}}), "splits.train: Input should be"),
        (b"\xff\xfe", "can't decode byte"),
    ],
)
def test_a_damaged_document_is_told_with_its_name(awkward_path, text, reason):
    path = awkward_path / DATA_FILE
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match="resume the run") as told:
        read_document(awkward_path)
    assert str(path) in str(told.value)
    assert reason in str(told.value)
