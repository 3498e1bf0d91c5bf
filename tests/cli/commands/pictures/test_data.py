"""``whippet data`` on folders: with a network that looks, without one, and on bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import main
from platforms import Settings, connect
from tasks.features.places import features_uri
from tests.worlds.pictures import write_data

COUNTS = {split: {"a": 2, "b é": 2} for split in ("train", "valid", "test")}


@pytest.fixture
def data(whippet_home, tmp_path):
    return write_data(tmp_path / "pictures", COUNTS)


def page_of(printed):
    (line,) = [line for line in printed.splitlines() if line.startswith("page: ")]
    return line.removeprefix("page: ")


def test_the_files_are_checked_without_a_network(data, capsys):
    assert main(["data", str(data), "--no-look"]) == 0
    told = capsys.readouterr()
    assert [line.split() for line in told.out.splitlines()[:4]] == [
        ["class", "train", "valid", "test"],
        ["a", "2", "2", "2"],
        ["b", "é", "2", "2", "2"],
        ["all", "4", "4", "4"],
    ]
    assert "wrong label" not in told.out
    page = Path(page_of(told.out)).read_text("utf-8")
    assert "b é" in page
    for each in (told.out, page):
        assert "It hardly sees crops: they are found by a network" in each


def test_without_weights_the_check_works_and_says_so(data, capsys, monkeypatch):
    monkeypatch.setenv("WHIPPET_JOB_PYTHON", "/nowhere/python")
    assert main(["data", str(data)]) == 0
    told = capsys.readouterr()
    assert "No network looked at the pictures: " in told.err
    assert "/nowhere/python" in told.err
    assert page_of(told.out)


def test_what_the_program_found_is_printed_and_on_the_page(data, capsys, monkeypatch, tmp_path):
    """The program itself is tested in its own environment; here it is one that answers."""
    from tasks.examination import examine as module
    from tests.worlds.sample_output import CLASSES
    from tests.worlds.sample_pictures import write_pictures

    asked, kept = {}, []

    def answer(command, *, progress, seconds):
        asked.update(json.loads(Path(command[2]).read_text("utf-8")))
        progress("took its time")
        folder = command[command.index("--output") + 1]
        kept.append(Path(command[command.index("--features") + 1]))
        write_pictures(tmp_path.joinpath(folder), CLASSES)
        return []

    monkeypatch.setattr(module, "run_spoken", answer)
    weights = module.prepare_weights("none", "", job_python=data, cache=data, fetch=print)
    monkeypatch.setattr(module, "prepare_weights", lambda *_, **__: weights)
    assert main(["data", str(data), "--model", "resnet18"]) == 0
    told = capsys.readouterr()
    assert "23 of 3,800 pictures may have the wrong label." in told.out
    assert "took its time" in told.err
    platform = connect()
    uri = features_uri(platform, kept[0].name)
    assert f"s3://{kept[0].relative_to((Settings().home / 's3').resolve())}/" == uri, "as of runs"
    assert asked["model"] == "resnet18"
    assert asked["classes"] == ["a", "b é"]
    assert sorted(asked["splits"]["train"])[0] == ["train/a/000.jpg", 0]
    assert {len(files) for files in asked["splits"].values()} == {4}
    assert "What the pictures say" in Path(page_of(told.out)).read_text("utf-8")
    assert not list((Settings().home / "data-check").rglob(".examine-*"))


def test_a_bad_folder_is_an_error(whippet_home, tmp_path, capsys):
    assert main(["data", str(tmp_path / "nothing")]) == 1
    assert "nothing" in capsys.readouterr().err
    root = write_data(tmp_path / "bad", COUNTS)
    (root / "train" / "a" / "000.jpg").write_bytes(b"no picture")
    assert main(["data", str(root), "--no-look"]) == 1
    assert "000.jpg" in capsys.readouterr().err
    assert main(["data", str(root), "--no-look", "--skip-bad"]) == 0
