"""Names of data sets, and what tells their pictures apart."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from sm_entrypoints.images.channels import read_splits
from tasks.dataset.checking.check import check_data
from tasks.dataset.identity import (
    fingerprint_of_channels,
    name_of_folder,
    name_of_uri,
)
from tasks.parameters.run import DataParameters
from tests.worlds.pictures import write_data

NAME = r"[A-Za-z0-9](-*[A-Za-z0-9]){0,39}"


def test_two_folders_of_one_name_are_two_data_sets(tmp_path: Path) -> None:
    first, second = tmp_path / "ann" / "data", tmp_path / "bob" / "data"
    assert name_of_folder(first) != name_of_folder(second)
    assert name_of_folder(first).startswith("data-")


def test_a_folder_keeps_its_name_whatever_leads_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pets"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    names = [
        name_of_folder(path)
        for path in (folder, Path("pets"), Path("./pets/../pets"), tmp_path / "link")
    ]
    assert len(set(names)) == 1


@pytest.mark.parametrize(
    "folder", ["写真", "é", "--x", "a" * 200, "A b_C", "\udcff", "..data", "run", "%2F", "-"]
)
def test_every_folder_has_a_name_that_a_parameter_takes(tmp_path: Path, folder: str) -> None:
    name = name_of_folder(tmp_path / folder)
    assert re.fullmatch(NAME, name)
    assert DataParameters(name=name).name == name


def test_a_prefix_has_one_name_on_every_machine() -> None:
    assert name_of_uri("s3://bucket/a/pets/") == name_of_uri("s3://bucket/a/pets")
    assert name_of_uri("s3://bucket/a/pets") != name_of_uri("s3://other/a/pets")


def test_the_jobs_own_fingerprint_can_be_told_from_the_keys(tmp_path: Path) -> None:
    counts = {"a": 2, "B": 3}
    root = write_data(tmp_path, {split: counts for split in ("train", "valid", "test")})
    shutil.move(root / "train" / "a" / "000.jpg", root / "train" / "a" / "Z.jpg")
    check = check_data(root)
    job = read_splits({split: root / split for split in ("train", "valid", "test")})
    sizes = {file.key: file.size for file in check.files}
    assert fingerprint_of_channels(sizes) == job.fingerprint()


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "x" * 41, "é"])
def test_a_name_that_no_key_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        DataParameters(name=name)
