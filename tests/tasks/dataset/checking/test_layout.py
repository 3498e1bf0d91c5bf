from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from platforms.errors import DataError
from tasks.dataset.checking.layout import read_layout
from tests.worlds.pictures import write_data, write_picture


def problems_of(root: Path) -> str:
    """Return all problems of a folder, whether they stop the walk or are gathered."""
    try:
        layout = read_layout(root)
        return "\n".join([*layout.problems, *(f"'{path}' {why}" for path, why in layout.bad)])
    except DataError as error:
        return str(error)


def codes(root: Path) -> dict[str, tuple[str, ...]]:
    return {found.code: found.paths for found in read_layout(root).warnings}


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("Train", "VAL", "Test")])
def test_split_folders_by_any_of_their_names(tmp_path: Path, names: tuple[str, str, str]) -> None:
    write_data(tmp_path, {name: {"a": 1, "b": 2} for name in names})
    layout = read_layout(tmp_path)
    assert (layout.problems, layout.warnings) == ((), ())
    assert layout.splits == ("train", "valid", "test")
    assert len(layout.candidates) == 9
    first = next(item for item in layout.candidates if item.split == "valid")
    assert (first.path, first.label, first.name) == (f"{names[1]}/a/000.jpg", "a", "000.jpg")


def test_flat_folders(tmp_path: Path) -> None:
    layout = read_layout(write_data(tmp_path, {"": {"a": 1, "b": 1}}))
    assert layout.splits == ()
    assert {(item.split, item.path) for item in layout.candidates} == {
        (None, "a/000.jpg"),
        (None, "b/000.jpg"),
    }


def test_class_called_train_is_a_class(tmp_path: Path) -> None:
    layout = read_layout(write_data(tmp_path, {"": {"car": 1, "train": 1}}))
    assert layout.splits == ()
    assert {item.label for item in layout.candidates} == {"car", "train"}


def test_images_below_a_class_folder_belong_to_it(tmp_path: Path) -> None:
    write_data(tmp_path, {"": {"a": 1, "b": 1}})
    write_picture(tmp_path / "a" / "deep" / "er" / "x.png", 9)
    found = {item.path: item for item in read_layout(tmp_path).candidates}
    assert found["a/deep/er/x.png"].label == "a"
    assert found["a/deep/er/x.png"].name == "deep/er/x.png"


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'.*/gone' cannot be read: No such file"):
        read_layout(tmp_path / "gone")


def test_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "data.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="is a file, not a folder"):
        read_layout(tmp_path / "data.zip")


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, "no class folders"),
        ({"train": {"a": 1}, "test": {"a": 1}}, "at least two classes, found 'a'"),
        ({"": {"a": 1}}, "at least two classes, found 'a'"),
        ({"train": {"a": 1, "b": 1}, "valid": {"a": 1}}, "missing in valid: 'b'"),
        ({"train": {"a": 1, "b": 1}, "test": {"a": 1, "b": 1, "c": 1}}, "missing in train: 'c'"),
        ({"valid": {"a": 1, "b": 1}, "test": {"a": 1, "b": 1}}, "no 'train' folder"),
        ({"": {"train": 1, "test": 1}}, "no class folders inside"),
        ({"val": {"a": 1}, "valid": {"a": 1}, "train": {"a": 1}}, "are both the valid split"),
        ({"": {"Cat": 1, "cat": 1}}, "differ only in case"),
        ({"": {"caf\u00e9": 1, "cafe\u0301": 1}}, "accents' encoding"),
        ({"": {"a\nb": 1, "c": 1}}, r"'a\\nb' has control characters"),
    ],
)
def test_bad_layouts(tmp_path: Path, counts: dict[str, dict[str, int]], words: str) -> None:
    assert re.search(words, problems_of(write_data(tmp_path, counts))), problems_of(tmp_path)


def test_empty_class_folder_says_what_is_in_it(tmp_path: Path) -> None:
    write_data(tmp_path, {"train": {"a": 1, "b": 1}, "test": {"a": 1, "b": 1}})
    (tmp_path / "train" / "c").mkdir()
    (tmp_path / "test" / "c").mkdir()
    (tmp_path / "test" / "c" / "x.webp").write_bytes(b"RIFF")
    found = problems_of(tmp_path)
    assert "'train/c' has no JPEG or PNG image; add some" in found
    assert "'test/c' has no JPEG or PNG image (only 1 .webp file); " in found


def test_what_is_ignored_is_told(tmp_path: Path) -> None:
    write_data(tmp_path, {"train": {"a": 2, "b": 2}})
    for name in (".DS_Store", "train/__MACOSX/._a.jpg", "train/a/.ipynb_checkpoints/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "train" / "a" / "._000.jpg").write_bytes(b"x")
    (tmp_path / "train" / "a" / "notes.txt").write_bytes(b"x")
    (tmp_path / "train" / "a" / "old.bmp").write_bytes(b"x")
    (tmp_path / "train" / "loose.jpg").write_bytes(b"x")
    (tmp_path / "docs").mkdir()
    os.mkfifo(tmp_path / "train" / "b" / "pipe.jpg")
    assert codes(tmp_path) == {
        "hidden": (
            ".DS_Store",
            "train/__MACOSX",
            "train/a/._000.jpg",
            "train/a/.ipynb_checkpoints",
        ),
        "ignored_folder": ("docs",),
        "outside": ("train/loose.jpg",),
        "skipped_format": ("train/a/old.bmp",),
        "not_image": ("train/a/notes.txt", "train/b/pipe.jpg"),
    }
    assert len(read_layout(tmp_path).candidates) == 4


def test_link_loops_end(tmp_path: Path) -> None:
    write_data(tmp_path, {"": {"a": 1, "b": 1}})
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "self").symlink_to(".", target_is_directory=True)
    (tmp_path / "a" / "ring").symlink_to("ring")
    layout = read_layout(tmp_path)
    assert len(layout.candidates) == 2
    assert codes(tmp_path)["link_loop"] == ("a/self", "a/up")
    assert layout.bad == (("a/ring", "cannot be read: Too many levels of symbolic links"),)


def test_links_are_followed_and_broken_ones_named(tmp_path: Path) -> None:
    elsewhere = write_picture(tmp_path / "elsewhere" / "pictures" / "x.jpg", 1)
    root = write_data(tmp_path / "data", {"": {"a": 1, "b": 1}})
    (root / "a" / "linked.jpg").symlink_to(elsewhere)
    (root / "b" / "folder").symlink_to(elsewhere.parent, target_is_directory=True)
    (root / "b" / "broken.jpg").symlink_to("nowhere.jpg")
    layout = read_layout(root)
    assert {item.path for item in layout.candidates} >= {"a/linked.jpg", "b/folder/x.jpg"}
    assert layout.bad == (("b/broken.jpg", "cannot be read: No such file or directory"),)


@pytest.fixture
def unprivileged_folder() -> Iterator[Path]:
    """Give a folder, and take root's power to read everything while the test runs."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_folders_without_rights_are_named(unprivileged_folder: Path) -> None:
    root = write_data(unprivileged_folder / "data", {"": {"a": 1, "b": 1, "c": 1}})
    (root / "a").chmod(0o000)
    (root / "b").chmod(0o444)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        found = problems_of(root)
    finally:
        os.seteuid(was)
        (root / "a").chmod(0o755)
        (root / "b").chmod(0o755)
    assert "the folder 'a' cannot be read: Permission denied" in found
    assert "'b/000.jpg' cannot be read: Permission denied" in found


def test_each_folder_is_listed_once_and_each_size_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_data(tmp_path / "data", {"train": {"a": 2, "b": 2}, "test": {"a": 1, "b": 1}})
    write_picture(root / "train" / "a" / "deep" / "x.png", 9)
    listed: list[Path] = []

    def scandir(folder: Path) -> object:
        listed.append(folder)
        return os_scandir(folder)

    os_scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    layout = read_layout(root)
    assert len(listed) == len(set(listed)) == 8
    sizes = {item.path: item.size for item in layout.candidates}
    assert sizes == {path: (root / path).stat().st_size for path in sizes}
    assert layout.bytes == sum(sizes.values()) > 0
