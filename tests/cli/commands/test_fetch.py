"""``whippet fetch`` on a home with a data set, a job's output, and neither."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest

from cli.main import main
from platforms import connect
from tasks.dataset.checking.check import check_data
from tasks.dataset.syncing.sync import sync_data
from tests.worlds.pictures import write_data

COUNTS = {split: {"a": 2, "b é": 2} for split in ("train", "valid", "test")}


@pytest.fixture
def data(whippet_home, tmp_path) -> Path:
    root = write_data(tmp_path / "pictures", COUNTS)
    platform = connect()
    store = platform.store(platform.defaults.bucket)
    sync_data(check_data(root), store, f"{platform.settings.prefix}/datasets/pets")
    return root


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_data_set_comes_by_its_name_and_only_what_is_missing_comes_again(
    data, tmp_path, monkeypatch, capsys
):
    target = tmp_path / "it's the target"
    assert main(["fetch", "pets", str(target)]) == 0
    assert "12 files fetched" in capsys.readouterr().out
    assert contents(target) == contents(data)
    damaged = target / "train" / "a" / "000.jpg"
    damaged.write_bytes(bytes(damaged.stat().st_size))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["fetch", "pets", "~/./it's the target/"]) == 0
    told = capsys.readouterr().out
    assert "1 file fetched" in told
    assert told.endswith(": ~/./it's the target/\n")
    assert contents(target) == contents(data)
    assert main(["fetch", "pets", "~/it's the target/train/a/000.jpg"]) == 1
    assert "'~/it's the target/train/a/000.jpg' is a file" in capsys.readouterr().err


def test_any_prefix_comes_by_its_uri(whippet_home, tmp_path, capsys):
    store = connect().store("other")
    for name in ("output/model.tar.gz", "debug-output/é 1/x"):
        obstore.put(store, f"jobs/one/{name}", name.encode() * 100_000)
    assert main(["fetch", "s3://other/jobs/one/", str(tmp_path / "got")]) == 0
    assert "2 files fetched" in capsys.readouterr().out
    assert contents(tmp_path / "got") == {
        name: name.encode() * 100_000 for name in ("output/model.tar.gz", "debug-output/é 1/x")
    }


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nothing", "'nothing' is neither a data set in s3://"),
        ("", "name a data set, a training job or s3://"),
        ("s3://other/nothing", "No objects under 'nothing'"),
        ("some/path", "is not an S3 URI"),
    ],
)
def test_what_is_not_there_is_a_sentence(whippet_home, tmp_path, capsys, source, said):
    assert main(["fetch", source, str(tmp_path / "got")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize("typed", ["dogs", "dogs-0a1b2", "dosg-0a1b2c"])
def test_a_name_without_its_digits_is_put_right(whippet_home, tmp_path, capsys, typed):
    platform = connect()
    store = platform.store(platform.defaults.bucket)
    root = write_data(tmp_path / "pictures", COUNTS)
    sync_data(check_data(root), store, f"{platform.settings.prefix}/datasets/dogs-0a1b2c")
    assert main(["fetch", typed, str(tmp_path / "got")]) == 1
    assert "Did you mean 'dogs-0a1b2c'?" in capsys.readouterr().err


def test_a_file_is_no_folder(data, tmp_path, capsys):
    (tmp_path / "got").write_text("mine")
    assert main(["fetch", "pets", str(tmp_path / "got")]) == 1
    assert "is a file: name a folder" in capsys.readouterr().err
    assert (tmp_path / "got").read_text() == "mine"
