"""Where the server's login lies, and who can read it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cli.server.login import (
    last_address,
    login_file,
    make_login,
    make_private,
    prefect_home,
    read_login,
    shell_file,
    write_shell_file,
)
from platforms import Settings
from platforms.errors import SettingsError

URL = "http://127.0.0.1:4200/api"


@pytest.fixture
def settings(awkward_path) -> Settings:
    return Settings(home=awkward_path / "home")


def test_it_is_made_once_for_its_owner_alone(settings):
    assert read_login(settings) is None
    before = os.umask(0)
    try:
        made = make_login(settings)
        write_shell_file(settings, URL, made)
    finally:
        os.umask(before)
    user, _, password = made.partition(":")
    assert user
    assert len(password) >= 32
    assert make_login(settings) == made == read_login(settings)
    for path in (login_file(settings), shell_file(settings)):
        assert path.stat().st_mode & 0o777 == 0o600
    assert prefect_home(settings).stat().st_mode & 0o777 == 0o700
    other = Settings(home=settings.home.parent / "another")
    assert make_login(other) != made


def test_one_that_others_could_read_or_write_is_replaced(settings):
    made = make_login(settings)
    login_file(settings).chmod(0o644)
    fresh = make_login(settings)
    assert fresh != made
    assert login_file(settings).stat().st_mode & 0o777 == 0o600
    elsewhere = settings.home / "elsewhere"
    elsewhere.write_text("whippet:known to somebody")
    login_file(settings).unlink()
    login_file(settings).symlink_to(elsewhere)
    assert "known" not in make_login(settings)


def test_a_folder_that_an_older_version_left_open_is_closed(settings):
    prefect_home(settings).mkdir(parents=True, mode=0o755)
    (prefect_home(settings) / "prefect.db").touch(mode=0o644)
    make_private(settings)
    assert prefect_home(settings).stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_used_is_named(settings):
    settings.home.mkdir()
    prefect_home(settings).write_text("a file")
    with pytest.raises(SettingsError, match="set WHIPPET_HOME"):
        make_login(settings)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try it as somebody else")
def test_another_user_cannot_read_it(tmp_path):
    # Everything above it is open to all.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
        if folder.name.startswith("pytest-of"):
            break
    settings = Settings(home=tmp_path)
    make_login(settings)
    write_shell_file(settings, URL, "whippet:secret")
    (prefect_home(settings) / "prefect.db").touch(mode=0o644)
    for name in ("login", "server.env", "prefect.db"):
        path = prefect_home(settings) / name
        read = [sys.executable, "-I", "-c", f"open({str(path)!r})"]
        assert subprocess.run(read, check=False).returncode == 0
        found = subprocess.run(
            ["cat", str(path)], user="nobody", capture_output=True, text=True, check=False
        )
        assert found.returncode != 0
        assert "Permission denied" in found.stderr


def test_the_file_for_shells_can_be_sourced_and_read_again(settings, monkeypatch):
    make_private(settings)
    assert last_address(settings) is None
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "corp.example")
    write_shell_file(settings, URL, "it's a $ecret")
    assert last_address(settings) == URL
    script = '. "$1" && printf "%s\\n" "$PREFECT_API_URL" "$PREFECT_API_AUTH_STRING" "$no_proxy"'
    found = subprocess.run(
        ["sh", "-eu", "-c", script, "sh", str(shell_file(settings))],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    spared = "corp.example,127.0.0.1,localhost,::1"
    assert found.stdout.splitlines() == [URL, "it's a $ecret", spared]
