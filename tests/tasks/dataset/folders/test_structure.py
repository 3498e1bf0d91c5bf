"""Folders as public data sets have them: splits are never taken for classes."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from platforms.errors import DataError
from tasks.dataset.checking.layout import read_layout
from tasks.dataset.folders.reading import Reading
from tests.worlds.pictures import JPEG

Found = dict[str | None, set[str]]
ANIMALS = ("cats", "dogs")


def make(root: Path, *folders: str) -> Path:
    """Make folders with two pictures each; one that ends with ``!`` stays empty."""
    for folder in folders:
        place = root / folder.removesuffix("!")
        place.mkdir(parents=True, exist_ok=True)
        if not folder.endswith("!"):
            for name in ("1.jpg", "2.jpg"):
                (place / name).write_bytes(JPEG)
    return root


def classes(*folders: str, of: tuple[str, ...] = ANIMALS) -> list[str]:
    return [f"{folder}/{label}" for folder in folders for label in of]


def found_in(root: Path, splits: dict[str, str] | None = None) -> Found:
    """Return the classes of each split; fails where the walk found problems."""
    layout = read_layout(root, Reading(splits=splits))
    assert layout.problems == ()
    found: Found = {}
    for each in layout.candidates:
        found.setdefault(each.split, set()).add(each.label)
    assert set(layout.splits) == set(found) - {None}
    return found


def split(*names: str, of: tuple[str, ...] = ANIMALS) -> Found:
    return {name: set(of) for name in names}


def flat(*labels: str) -> Found:
    return {None: set(labels)}


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (classes("Training", "Testing"), split("train", "test")),
        (classes("training_set", "test_set"), split("train", "test")),
        (
            [
                *classes("dataset/training_set", "dataset/test_set"),
                "dataset/single_prediction",
            ],
            split("train", "test"),
        ),
        (classes("training_set/training_set", "test_set/test_set"), split("train", "test")),
        (classes("Train", "Test", "Val"), split("train", "valid", "test")),
        (classes("TRAIN", "TEST", "VALIDATION"), split("train", "valid", "test")),
        (classes("train", "dev", "test"), split("train", "valid", "test")),
        (classes("train", "eval"), split("train", "valid")),
        (classes("train", "val", "eval"), split("train", "valid", "test")),
        (classes("train", "holdout"), split("train", "test")),
        (classes("train", "hold-out", "val"), split("train", "valid", "test")),
        (
            [*classes("seg_train/seg_train", "seg_test/seg_test"), "seg_pred/seg_pred"],
            split("train", "test"),
        ),
        (classes("train_images", "val_images"), split("train", "valid")),
        (classes("trainset", "testset"), split("train", "test")),
        (classes("TrainSet", "ValidSet", "TestSet"), split("train", "valid", "test")),
        (classes("images/train", "images/test"), split("train", "test")),
        ([*classes("images/train", "images/val"), "labels/train!"], split("train", "valid")),
        (classes("dogImages/train", "dogImages/valid"), split("train", "valid")),
        (
            [
                *classes(
                    "chest_xray/train",
                    "chest_xray/test",
                    "chest_xray/val",
                    "chest_xray/chest_xray/train",
                    "chest_xray/chest_xray/test",
                ),
                "chest_xray/__MACOSX/chest_xray",
            ],
            split("train", "valid", "test"),
        ),
        (classes("01_train", "02_val", "03_test"), split("train", "valid", "test")),
        (classes("1. Training", "2. Testing"), split("train", "test")),
        (classes("train2017", "val2017"), split("train", "valid")),
        (classes("flowers-train", "flowers-test"), split("train", "test")),
        (classes("trn", "tst"), split("train", "test")),
        (classes("train photos 2021 spring", "test"), split("train", "test")),
        (classes("train/images", "test/images"), split("train", "test")),
        (classes("train/animals", "test/animals"), split("train", "test")),
        (classes("train"), split("train")),
        ([*classes("train"), "docs!"], split("train")),
        ([*classes("train"), "unlabeled"], split("train")),
        ([*classes("train", "val"), *classes("test", of=("cats", "dogs")), "extra"], None),
        (
            ["cats/train", "cats/test", "dogs/train", "dogs/test"],
            split("train", "test"),
        ),
        (
            ["cats/Training", "cats/Validation", "dogs/Training", "dogs/Validation"],
            split("train", "valid"),
        ),
        (classes("a/b/c"), flat(*ANIMALS)),
        ([*classes("data"), "data2!"], flat(*ANIMALS)),
        (["car", "train"], flat("car", "train")),
        (["control", "test"], flat("control", "test")),
        (["valid", "invalid"], flat("valid", "invalid")),
        (["cats", "dogs", *classes("test")], split("train", "test")),
        (["a/cats", "a/dogs", *classes("a/val", "a/test")], split("train", "valid", "test")),
        (["training", "resting", "running"], flat("training", "resting", "running")),
        (["training shoes", "test tubes"], flat("training shoes", "test tubes")),
        (["cats/2023", "cats/2024", "dogs/2023", "dogs/2024"], flat(*ANIMALS)),
        (["cats/raw", "cats/cropped", "dogs/raw", "dogs/cropped"], flat(*ANIMALS)),
        (["cats/indoor", "dogs/outdoor"], flat(*ANIMALS)),
        (["cats/@eaDir", "cats", "dogs", "@eaDir/cats", "lost+found!"], flat(*ANIMALS)),
    ],
)
def test_layouts_of_public_data_sets(
    tmp_path: Path, folders: list[str], expected: Found | None
) -> None:
    wanted = split("train", "valid", "test") if expected is None else expected
    assert found_in(make(tmp_path, *folders)) == wanted


@pytest.mark.parametrize(
    ("folders", "answer"),
    [
        (classes("fold1", "fold2", "fold3"), {"train": "fold1", "test": "fold2"}),
        (classes("entrenamiento", "prueba"), {"train": "entrenamiento", "test": "prueba"}),
        (classes("Set A", "Set B"), {"train": "Set A", "test": "Set B"}),
        (classes("wrapped/x y", "wrapped/z"), {"train": "wrapped/x y", "test": "wrapped/z"}),
        (classes("a", "b", of=("0", "1", "2")), {"train": "a", "test": "b"}),
        ([*classes("train"), "cars"], {"train": "train"}),
        (["cats", "dogs", "test"], {"train": ".", "test": "test"}),
        (["in/cats", "in/dogs", "in/test"], {"train": "in", "test": "in/test"}),
        (classes("train", "valid", "val"), {"train": "train", "valid": "val"}),
        (classes("train", "train_2"), {"train": "train"}),
        (classes("train", "test", "holdout"), {"train": "train", "test": "holdout"}),
    ],
)
def test_what_cannot_be_told_is_asked_and_the_printed_answer_works(
    tmp_path: Path, folders: list[str], answer: dict[str, str]
) -> None:
    root = make(tmp_path, *folders)
    with pytest.raises(DataError, match="nothing was uploaded") as refused:
        read_layout(root)
    options, _, rest = str(refused.value).partition("Give ")[2].partition(" if they are splits")
    words = shlex.split(options)
    assert set(words[::2]) == {"--split"}
    told = dict(word.split("=", 1) for word in words[1::2])
    assert told == answer
    # Pictures right in a test folder have no labels: they are left out.
    unlabelled = {"test"} if any(name.endswith("test") for name in folders) else set()
    assert set(found_in(root, told)) == set(answer) - unlabelled
    assert "--no-splits" in rest
    assert set(found_in(root, {})) == {None}


@pytest.mark.parametrize(
    "folders",
    [
        ["train", "test"],
        ["train", "test", "plane"],
        ["test/a"],
        ["cats_train", "cats_test", "dogs_train", "dogs_test"],
    ],
)
def test_pictures_right_in_splits_are_refused(tmp_path: Path, folders: list[str]) -> None:
    with pytest.raises(DataError, match="--no-splits"):
        read_layout(make(tmp_path, *folders))


def test_the_answer_is_taken(tmp_path: Path) -> None:
    root = make(tmp_path, *classes("fold 1", "fold2/deep"))
    answer = {"train": "fold 1", "test": "fold2/deep"}
    assert found_in(root, answer) == split("train", "test")
    assert found_in(root, {}) == flat("fold 1", "fold2")
    vehicles = make(tmp_path / "vehicles", "train", "test", "plane")
    assert found_in(vehicles, {}) == flat("train", "test", "plane")
    nested = make(tmp_path / "nested", *classes("train", "test"))
    assert found_in(nested, {}) == flat("train", "test")


def test_a_folder_that_is_named_must_be_there(tmp_path: Path) -> None:
    root = make(tmp_path, *classes("one", "two"))
    with pytest.raises(DataError, match=r"no folder '.*three' for a split"):
        read_layout(root, Reading(splits={"train": "one", "test": "three"}))


@pytest.mark.parametrize(
    ("folders", "code", "path"),
    [
        (["test"], "unlabelled", "test"),
        (["test/test"], "unlabelled", "test/test"),
        (["test/unknown"], "unlabelled", "test"),
        (["Testing/images"], "unlabelled", "Testing/images"),
        (["test!"], "split_empty", "test"),
        (["valid!"], "split_empty", "valid"),
        (classes("valid", of=("cats!", "dogs!")), "split_empty", "valid"),
        (["val"], "unlabelled", "val"),
    ],
)
def test_a_split_without_labels_or_pictures_is_left_out_and_said(
    tmp_path: Path, folders: list[str], code: str, path: str
) -> None:
    root = make(tmp_path, *classes("train"), *folders)
    layout = read_layout(root)
    assert layout.problems == ()
    assert layout.splits == ("train",)
    (said,) = [found for found in layout.warnings if found.code == code]
    assert f"'{path}'" in said.message
    assert {each.split for each in layout.candidates} == {"train"}


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (["test/cats"], "classes of train are missing in test: 'dogs'"),
        (["test/cats", "test/dogs", "test/eels"], "classes of test are missing in train: 'eels'"),
        (["valid/eels"], "classes of valid are missing in train: 'eels'"),
        (["valid/cats", "valid/dogs!"], "'valid/dogs' has no JPEG or PNG"),
    ],
)
def test_a_split_with_other_classes_is_a_problem(
    tmp_path: Path, folders: list[str], said: str
) -> None:
    layout = read_layout(make(tmp_path, *classes("train"), *folders))
    assert said in "\n".join(layout.problems)


def test_labels_in_a_table_are_pointed_at(tmp_path: Path) -> None:
    root = make(tmp_path, "train_images", "test_images")
    (root / "train.csv").write_text("file,label\n")
    with pytest.raises(DataError, match=r"'train.csv'.*sort the pictures"):
        read_layout(root)


def test_an_unlabelled_folder_beside_the_splits_is_ignored_and_named(tmp_path: Path) -> None:
    root = make(tmp_path, *classes("seg_train", "seg_test"), "seg_pred")
    (ignored,) = [each for each in read_layout(root).warnings if each.code == "ignored_folder"]
    assert ignored.paths == ("seg_pred",)
