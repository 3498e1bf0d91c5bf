from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import main
from platforms import Settings, connect
from platforms.local.records import Records
from platforms.privacy import close_home, make_home
from tasks.runs.record import open_run


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct, autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_home_is_made_for_its_owner(tmp_path: Path, umask: int) -> None:
    home = tmp_path / "above" / "home"
    make_home(home)
    assert mode(home) == 0o700
    assert mode(home.parent) == 0o777 & ~umask  # not ours


def test_an_open_home_is_closed_by_whoever_uses_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o775)
    connect(Settings(home=home))
    assert mode(home) == 0o700
    home.chmod(0o755)
    make_home(home)
    assert mode(home) == 0o700


@pytest.mark.parametrize("sticky", [0o1777, 0o1755])
def test_a_folder_shared_with_the_world_stays_open(tmp_path: Path, sticky: int) -> None:
    home = tmp_path / "tmp"
    (home / "runs").mkdir(parents=True)
    (home / "theirs").mkdir()
    (home / "theirs").chmod(0o755)
    (home / "runs").chmod(0o755)
    (home / "server.log").touch()
    home.chmod(sticky)
    close_home(home)
    assert home.stat().st_mode & 0o7777 == sticky
    assert mode(home / "theirs") == 0o755
    assert mode(home / "runs") == 0o700
    assert mode(home / "server.log") & 0o077 == 0


def test_a_persons_home_folder_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    (tmp_path / "person" / "prefect").mkdir(parents=True)
    for folder in (tmp_path / "person", tmp_path / "person" / "prefect", tmp_path):
        folder.chmod(0o755)
    for home in (tmp_path / "person", tmp_path):
        close_home(home)
        assert mode(home) == 0o755
    assert mode(tmp_path / "person" / "prefect") == 0o700


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    close_home(tmp_path / "home")
    assert list(tmp_path.iterdir()) == []


def test_the_first_write_of_each_kind_makes_it_private(tmp_path: Path) -> None:
    open_run(Settings(home=tmp_path / "a"), "id", "run", {}, resume=False)
    Records(tmp_path / "b").create("models", "m", {})
    assert [mode(tmp_path / name) for name in "ab"] == [0o700, 0o700]


def test_a_command_leaves_none_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o755)
    monkeypatch.setenv("WHIPPET_HOME", str(tmp_path / "home"))
    main(["jobs"])
    assert mode(tmp_path / "home") == 0o700
