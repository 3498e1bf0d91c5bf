from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from platforms.errors import DataError, ParameterError
from tasks.dataset.checking.check import DataCheck, check_data
from tasks.dataset.folders.reading import Reading
from tasks.dataset.identity import name_of_folder
from tests.worlds.pictures import picture, png_header, write_data, write_picture

THREE = {split: {"a": 12, "b": 12} for split in ("train", "valid", "test")}


def found(check: DataCheck, code: str) -> tuple[str, ...]:
    (warning,) = (warning for warning in check.warnings if warning.code == code)
    return warning.paths


def test_good_folders_are_described(tmp_path: Path) -> None:
    root = write_data(tmp_path / 'My Pets é\'s "set"', THREE)
    seen: list[tuple[int, int]] = []
    check = check_data(root, progress=lambda done, total: seen.append((done, total)))
    assert check.warnings == ()
    assert seen == [(50, 72), (72, 72)]
    summary = check.document().as_json()
    assert re.fullmatch("my-pets-e-s-set-[0-9a-f]{6}", summary["name"])
    assert json.loads(json.dumps(summary)) == summary
    assert summary == {
        "name": name_of_folder(root),
        "root": str(root),
        "fingerprint": check.fingerprint,
        "classes": ["a", "b"],
        "splits": {
            split: {"images": 24, "per_class": {"a": 12, "b": 12}}
            for split in ("train", "valid", "test")
        },
        "bytes": sum(path.stat().st_size for path in root.rglob("*.jpg")),
        "sizes": {
            "width": {"min": 64, "median": 64, "max": 64},
            "height": {"min": 48, "median": 48, "max": 48},
        },
        "warnings": [],
        "split_source": "folders",
    }
    assert [file.key for file in check.files][:2] == ["test/a/000.jpg", "test/a/001.jpg"]


def test_fingerprint_is_of_content_and_names(tmp_path: Path) -> None:
    first = write_data(tmp_path / "first", THREE)
    second = tmp_path / "second"
    shutil.copytree(first, second)
    fingerprint = check_data(first).fingerprint
    assert check_data(second).fingerprint == fingerprint
    write_picture(second / "test" / "a" / "000.jpg", 999)
    changed = check_data(second).fingerprint
    (first / "test" / "a" / "000.jpg").rename(first / "test" / "a" / "zzz.jpg")
    assert len({fingerprint, changed, check_data(first).fingerprint}) == 3


def test_flat_folders_are_split_by_class(tmp_path: Path) -> None:
    root = write_data(tmp_path, {"": {"a": 40, "b": 20}})
    before = sorted(root.rglob("*"))
    check = check_data(root, Reading(seed=1))
    assert check.split_source == "stratified"
    assert check.document().as_json()["splits"] == {
        "train": {"images": 42, "per_class": {"a": 28, "b": 14}},
        "valid": {"images": 9, "per_class": {"a": 6, "b": 3}},
        "test": {"images": 9, "per_class": {"a": 6, "b": 3}},
    }
    assert sorted(root.rglob("*")) == before
    assert check_data(root, Reading(seed=1)) == check
    assert check_data(root, Reading(seed=2)).fingerprint != check.fingerprint
    (made,) = check.warnings
    assert made.code == "split_made"
    assert "valid (9 images) and test (9 images) taken out of the class folders" in made.message


def test_missing_valid_is_taken_out_of_train_alone(tmp_path: Path) -> None:
    root = write_data(tmp_path, {"train": {"a": 20, "b": 20}, "test": {"a": 12, "b": 12}})
    check = check_data(root, Reading(valid_share=0.25))
    images = {name: part.images for name, part in check.document().splits.items()}
    assert images == {"train": 30, "valid": 10, "test": 24}
    assert {file.split for file in check.files if file.path.startswith("test/")} == {"test"}
    assert all(
        file.key.startswith("valid/") and file.path.startswith("train/")
        for file in check.files
        if file.split == "valid"
    )
    assert [warning.code for warning in check.warnings] == ["split_made"]


def test_near_duplicates_stay_in_one_split_when_we_split(tmp_path: Path) -> None:
    root = write_data(tmp_path, {"": {"a": 12, "b": 16}})
    for number in range(12):
        picture(number, (64, 48)).save(root / "a" / f"{number:03d}-again.jpg", quality=30)
    check = check_data(root)
    split_of = {file.path: file.split for file in check.files}
    assert all(
        split_of[f"a/{number:03d}.jpg"] == split_of[f"a/{number:03d}-again.jpg"]
        for number in range(12)
    )
    assert [warning.code for warning in check.warnings] == ["split_made"]


def test_class_of_equal_images_is_split_with_a_warning(tmp_path: Path) -> None:
    root = write_data(tmp_path, {"": {"a": 12, "b": 12}})
    for number in range(12):
        write_picture(root / "b" / f"{number:03d}.jpg", 100)
    check = check_data(root)
    assert check.document().splits["test"].per_class == {"a": 2, "b": 2}
    assert len(found(check, "duplicate")) == 12


def test_leaks_between_splits_are_told(tmp_path: Path) -> None:
    root = write_data(tmp_path, THREE)
    shutil.copy(root / "train/a/000.jpg", root / "test/a/copy.jpg")
    picture(5, (64, 48)).resize((128, 96)).save(root / "valid/a/large.png")
    shutil.copy(root / "valid/b/003.jpg", root / "valid/b/twin.jpg")  # No leak: one split.
    check = check_data(root)
    assert found(check, "duplicate") == ("test/a/copy.jpg", "train/a/000.jpg")
    assert found(check, "near_duplicate") == ("train/a/005.jpg", "valid/a/large.png")
    assert len(check.warnings) == 2


def test_every_file_of_a_leak_is_counted(tmp_path: Path) -> None:
    root = write_data(tmp_path, THREE)
    for number in range(40):
        shutil.copy(root / "train/a/000.jpg", root / f"test/a/copy-{number}.jpg")
    picture(5, (64, 48)).resize((128, 96)).save(root / "valid/a/large.png")
    check = check_data(root)
    (exact,) = [each for each in check.warnings if each.code == "duplicate"]
    assert "(41 files)" in exact.message
    (near,) = [each for each in check.warnings if each.code == "near_duplicate"]
    assert "(2 files)" in near.message


def test_one_image_with_two_classes_is_told(tmp_path: Path) -> None:
    root = write_data(tmp_path, THREE)
    shutil.copy(root / "train/a/000.jpg", root / "train/b/copy.jpg")
    assert found(check_data(root), "label_conflict") == ("train/a/000.jpg", "train/b/copy.jpg")


def test_imbalance_and_few_images_are_told(tmp_path: Path) -> None:
    root = write_data(
        tmp_path,
        {"train": {"a": 45, "b": 4}, "valid": {"a": 2, "b": 2}, "test": {"a": 2, "b": 2}},
    )
    codes = {warning.code: warning.message for warning in check_data(root).warnings}
    assert codes.keys() == {"imbalance", "few_images"}
    assert "'a' has 45 training images, 'b' only 4" in codes["imbalance"]


def test_unusual_modes_are_told(tmp_path: Path) -> None:
    root = write_data(tmp_path, THREE)
    picture(900).convert("CMYK").save(root / "train/a/cmyk.jpg")
    picture(901).quantize(32).save(root / "train/a/palette.png")
    picture(902).convert("L").save(root / "train/a/grey.jpg")
    modes = [warning for warning in check_data(root).warnings if warning.code == "mode"]
    assert [warning.paths for warning in modes] == [
        ("train/a/cmyk.jpg",),
        ("train/a/palette.png",),
    ]


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    root = write_data(tmp_path / "bad", {"train": {"a": 3, "b": 3}, "test": {"a": 3}})
    (root / "train/a/empty.jpg").write_bytes(b"")
    (root / "train/b/cut\nhere.jpg").write_bytes((root / "train/b/000.jpg").read_bytes()[:300])
    (root / "test/a/huge.png").write_bytes(png_header(30_000, 30_000))
    with pytest.raises(DataError) as error:
        check_data(root)
    text = str(error.value)
    assert text.startswith(f"The data folder '{root}' has 4 problems; nothing was uploaded.")
    for part in (
        "classes of train are missing in test: 'b'",
        "'train/a/empty.jpg' is empty",
        r"'train/b/cut\nhere.jpg' cannot be decoded: ",
        "'test/a/huge.png' has 30000 x 30000 pixels",
    ):
        assert part in text
    assert text.count("\n") == 4


def test_many_problems_are_cut_to_twenty(tmp_path: Path) -> None:
    root = write_data(tmp_path, {"": {"a": 3, "b": 3}})
    for number in range(30):
        (root / "a" / f"bad{number:02d}.jpg").write_bytes(b"x")
    with pytest.raises(DataError) as error:
        check_data(root)
    assert "30 problems" in str(error.value)
    assert "and 10 more" in str(error.value)
    assert str(error.value).count("\n") == 21


@pytest.mark.parametrize(
    ("counts", "needed"),
    [
        ({"": {"a": 2, "b": 9}}, "'a' has 2 images, but 3 are needed: one each for train, valid"),
        ({"train": {"a": 1, "b": 9}, "test": {"a": 1, "b": 1}}, "'a' has 1 image, but 2 are"),
    ],
)
def test_class_too_small_to_split(
    tmp_path: Path, counts: dict[str, dict[str, int]], needed: str
) -> None:
    with pytest.raises(DataError, match=needed):
        check_data(write_data(tmp_path, counts))


def test_bad_shares_fail_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ParameterError):
        check_data(tmp_path / "gone", Reading(valid_share=0.6, test_share=0.6))


def test_names_that_no_key_can_hold_get_one_that_can(tmp_path: Path) -> None:
    root = write_data(tmp_path, THREE)
    names = ["new\nline.jpg", "50% #1 \"x\" 'y'?.jpg", "ünï.jpg", "bytes\udcff.jpg"]
    for seed, name in enumerate(names, 500):
        write_picture(root / "train" / "a" / name, seed)
    check = check_data(root)
    keys = {file.name: file.key for file in check.files}
    assert [keys[name] for name in names] == [
        "train/a/new%0Aline.jpg",
        "train/a/50% #1 \"x\" 'y'?.jpg",
        "train/a/ünï.jpg",
        "train/a/bytes%FF.jpg",
    ]
    json.dumps(check.document().as_json(), ensure_ascii=False).encode()
