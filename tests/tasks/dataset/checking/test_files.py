"""Which files of odd folders are pictures: the orchestrator and the job say the same."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest
from obstore.store import LocalStore

from platforms.errors import DataError
from sm_entrypoints.images.channels import read_splits
from sm_entrypoints.images.files import is_system_name, kind_of
from tasks.dataset.checking.check import check_data
from tasks.dataset.findings import MAX_PROBLEMS, DataProblems
from tasks.dataset.folders.reading import Reading
from tasks.dataset.syncing.sync import sync_data
from tests.worlds.pictures import JPEG, picture, write_data, write_picture

ODD_NAMES = [
    "a.jfif",
    "b.JPE",
    "no suffix",
    "c.bin",
    "d.jpg.bak",
    "trailing .jpg ",
    "-leading.jpg",
    "🐈.jpg",
    "new\nline.jpg",
    "tab\t.jpg",
    "bytes\udcff.jpg",
    "%2F.jpg",
    "a..jpg..jpg",
    "x" * 240 + ".jpg",
    "\udcfe" * 100 + ".jpg",
    "caf\u00e9.jpg",
    "cafe\u0301.jpg",
    "Case.jpg",
    "case.jpg",
    "quote'\"`$(x).jpg",
    "back\\slash.jpg",
    "a&b=c?d#e+f.jpg",
    "*.jpg",
    "~tilde.jpg",
]
SYSTEM = [
    ".DS_Store",
    "._000.jpg",
    "Thumbs.db",
    "desktop.ini",
    "@eaDir/000.jpg/SYNOPHOTO_THUMB_M.jpg",
    "lost+found/1.jpg",
    ".Trash-1000/files/1.jpg",
    "$RECYCLE.BIN/1.jpg",
    "System Volume Information/1.jpg",
    ".AppleDouble/000.jpg",
    "#recycle/1.jpg",
    ".ipynb_checkpoints/000-checkpoint.jpg",
    "__MACOSX/000.jpg",
    ".git/1.jpg",
    ".stfolder/1.jpg",
    ".thumbnails/1.jpg",
    ".picasaoriginals/1.jpg",
    ".dtrash/1.jpg",
    "@Recycle/1.jpg",
    ".@__thumb/1.jpg",
    "__pycache__/1.jpg",
    "FOUND.000/1.jpg",
    "Icon\r",
    "LOST.DIR/1.jpg",
]
NOT_PICTURES = ["notes.txt", "labels.csv", "half.jpg.part", "movie.mp4", "a.json"]


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    root = write_data(tmp_path / "data", {each: {"cat": 1, "dog": 1} for each in ("train", "val")})
    write_data(root, {"test": {"cat": 1, "dog": 1}}, first_seed=10)
    for number, name in enumerate(ODD_NAMES):
        place = root / "train" / "cat" / name
        picture(100 + number).save(place, "PNG" if number % 2 else "JPEG")
    for name in SYSTEM:
        for folder in (root, root / "train", root / "train" / "dog"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(JPEG)
    for name in NOT_PICTURES:
        (root / "train" / "dog" / name).write_bytes(JPEG)
    os.mkfifo(root / "train" / "dog" / "pipe.jpg")
    (root / "train" / "dog" / "round").symlink_to("..", target_is_directory=True)
    return root


def test_what_is_uploaded_is_what_the_job_counts(odd: Path, tmp_path: Path) -> None:
    check = check_data(odd)
    cats = sorted(file.name for file in check.files if file.key.startswith("train/cat/"))
    assert cats == sorted(["000.jpg", *ODD_NAMES])
    assert [file.name for file in check.files if file.key.startswith("train/dog/")] == ["000.jpg"]
    assert {file.label for file in check.files} == {"cat", "dog"}
    bucket = tmp_path / "bucket"
    sync_data(check, LocalStore(prefix=bucket, mkdir=True), "p")
    channels = {each: bucket / "p" / each for each in ("train", "valid", "test")}
    job = read_splits(channels)
    assert job.classes == ("cat", "dog")
    assert len(job.train) == len(ODD_NAMES) + 2
    assert (len(job.valid), len(job.test or ())) == (2, 2)
    again = sync_data(check_data(odd), LocalStore(prefix=bucket), "p")
    assert (again.uploaded, again.removed) == (0, 0)


def test_a_users_own_folder_as_a_channel_is_counted_alike(odd: Path) -> None:
    check = check_data(odd)
    job = read_splits({"train": odd / "train", "valid": odd / "val", "test": odd / "test"})
    found = {f"train/{path}" for path in job.train.paths if not path.endswith("pipe.jpg")}
    assert found == {file.path for file in check.files if file.split == "train"}


def test_what_is_ignored_is_told(odd: Path) -> None:
    (hidden,) = [each for each in check_data(odd).warnings if each.code == "hidden"]
    assert f"{3 * len(SYSTEM)} hidden files or folders" in hidden.message
    assert "@eaDir" in hidden.message


@pytest.mark.parametrize("name", ["cat", "train", "recycle", "found", "icon", "trash", "desktop"])
def test_classes_are_no_system_folders(name: str) -> None:
    assert not is_system_name(name)


def test_kinds_by_their_first_bytes() -> None:
    assert kind_of(JPEG) == "JPEG"
    for kind in ("PNG", "GIF", "BMP", "TIFF", "WebP"):
        made = io.BytesIO()
        picture(1).save(made, kind.upper())
        assert kind_of(made.getvalue()[:64]) == kind
    assert kind_of(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf") == "AVIF"
    assert kind_of(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic") == "HEIC"
    assert kind_of(b"\0\0\0\x18ftypisom\0\0\0\0isommp42") is None
    for text in (b"", b"BM", b"BMW is a car of some make, and not a picture", b"<html>", b"GIF"):
        assert kind_of(text) is None


def spoil(root: Path, count: int) -> list[str]:
    """Write files that cannot be used; return their paths."""
    names = [f"cat/bad {number:03d}.jpg" for number in range(count)]
    for name in names:
        (root / name).write_bytes(b"<html>not found</html>")
    return names


def test_bad_files_are_left_out_on_request_and_all_are_named(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data", {"": {"cat": 5, "dog": 5}})
    bad = spoil(root, 60)
    (root / "dog" / "empty.png").write_bytes(b"")
    (root / "dog" / "gone.jpg").symlink_to("nowhere")
    check = check_data(root, Reading(skip_bad=True))
    assert len(check.files) == 10
    assert sorted(path for path, _ in check.skipped) == [*bad, "dog/empty.png", "dog/gone.jpg"]
    reasons = dict(check.skipped)
    assert "HTML" in reasons[bad[59]]
    assert reasons["dog/empty.png"] == "is empty (0 bytes)"
    assert "No such file" in reasons["dog/gone.jpg"]
    (said,) = [each for each in check.warnings if each.code == "bad_files"]
    assert said.message.startswith("62 files are left out")
    for path in (*bad, "dog/empty.png", "dog/gone.jpg"):
        (root / path).unlink()
    assert check_data(root).fingerprint == check.fingerprint


def test_a_class_of_bad_files_alone_is_a_problem(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data", {"": {"cat": 5, "dog": 5, "eel": 0}})
    (root / "eel").mkdir()
    (root / "eel" / "1.jpg").write_bytes(b"x")
    (root / "frog").mkdir()
    (root / "frog" / "1.jpg").symlink_to("nowhere")
    with pytest.raises(DataError) as refused:
        check_data(root, Reading(skip_bad=True))
    assert "no file of the class 'eel' can be used" in str(refused.value)
    assert "no file of the class 'frog' can be used" in str(refused.value)


def test_all_problems_are_in_a_file_where_there_are_many(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data", {"": {"cat": 5, "dog": 5}})
    bad = spoil(root, 60)
    with pytest.raises(DataProblems) as refused:
        check_data(root)
    file = tmp_path / "lists" / "problems.txt"
    told = refused.value.listed_in(file, "as typed")
    assert str(told).startswith("The data folder 'as typed' has 60 problems")
    assert f"and {60 - MAX_PROBLEMS} more; all of them: {file}" in str(told)
    lines = file.read_text("utf-8").splitlines()
    assert [line.split("'")[1] for line in lines] == bad


def test_few_problems_need_no_file(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data", {"": {"cat": 5, "dog": 5}})
    spoil(root, 2)
    with pytest.raises(DataProblems) as refused:
        check_data(root)
    told = refused.value.listed_in(tmp_path / "problems.txt")
    assert str(told) == str(refused.value)
    assert not (tmp_path / "problems.txt").exists()


def test_skipped_lists_hold_any_name(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data", {"": {"cat": 5, "dog": 5}})
    for name in ("new\nline.jpg", "bytes\udcff.jpg", 'a,b".jpg'):
        (root / "cat" / name).write_bytes(b"x")
    write_picture(root / "cat" / "good.jpg", 77)
    skipped = check_data(root, Reading(skip_bad=True)).skipped
    text = io.StringIO()
    csv.writer(text).writerows(skipped)
    content = text.getvalue().encode(errors="surrogateescape")
    rows = list(csv.reader(io.StringIO(content.decode(errors="surrogateescape"), newline="")))
    assert [path for path, _ in rows] == [path for path, _ in skipped]
