"""The pictures of a folder are told by their content, and each is sent once."""

from __future__ import annotations

from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from platforms.errors import DataError
from tasks.transform.pictures import JPEG, PNG, find_pictures, upload


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "my photos é"
    (found / "cats").mkdir(parents=True)
    (found / "cats" / "1.JPG").write_bytes(JPEG + b"one")
    (found / "no suffix").write_bytes(PNG + b"two")
    (found / "notes.txt").write_text("mine")
    (found / "renamed.jpg").write_bytes(b"RIFF....WEBP")
    (found / ".hidden").mkdir()
    (found / ".hidden" / "3.jpg").write_bytes(JPEG)
    return found


def test_pictures_are_known_by_content_and_named_by_path(folder: Path) -> None:
    pictures = find_pictures(folder)
    assert [each.name for each in pictures.found] == ["cats/1.JPG", "no suffix"]
    assert pictures.others == 2
    assert pictures.content_type == "image/jpeg"
    assert pictures.megabytes == 6


def test_the_digest_is_of_names_and_contents(folder: Path) -> None:
    before = find_pictures(folder).digest
    (folder / "notes.txt").write_text("other notes")
    assert find_pictures(folder).digest == before
    (folder / "no suffix").write_bytes(PNG + b"tw0")
    assert find_pictures(folder).digest != before


def test_what_is_there_is_not_sent_again(folder: Path) -> None:
    store, pictures = MemoryStore(), find_pictures(folder)
    assert upload(pictures, store, "t/in") == 2
    assert bytes(store.get("t/in/cats/1.JPG").bytes()) == JPEG + b"one"
    assert upload(pictures, store, "t/in") == 0


def test_a_picture_that_changed_meanwhile_is_not_sent(folder: Path, tmp_path: Path) -> None:
    pictures = find_pictures(folder)
    (folder / "no suffix").write_bytes(PNG + b"tw0")
    with pytest.raises(DataError, match="changed while it was being read"):
        upload(pictures, LocalStore(prefix=tmp_path / "s3", mkdir=True), "t/in")


def test_odd_folders_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        find_pictures(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("no picture")
    with pytest.raises(DataError, match=r"no JPEG or PNG picture in .* \(1 other files\)"):
        find_pictures(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        find_pictures(tmp_path / "a.txt")
    (tmp_path / "new\nline.jpg").write_bytes(JPEG)
    with pytest.raises(DataError, match="cannot be the name of an object"):
        find_pictures(tmp_path)
