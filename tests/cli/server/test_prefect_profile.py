"""`whippet up`: Prefect's own commands know the server without a sourced file."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from cli.server.prefect_profile import (
    is_free,
    keep_own_profile,
    keep_profile,
    profiles_file,
    take_back,
)
from platforms import Settings
from platforms.errors import SettingsError

URL, OTHER = "http://127.0.0.1:4200/api", "http://127.0.0.1:4201/api"
MINE = 'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "https://example.org/api"\n'
INACTIVE = MINE.replace('"mine"', '"ephemeral"')
LOCAL = 'active = "local"\n'
TUNED = 'active = "mine"\n[profiles.mine]\nPREFECT_LOGGING_LEVEL = "DEBUG"\n'
UNTOUCHED = (
    'active = "ephemeral"\n[profiles.ephemeral]\nPREFECT_SERVER_ALLOW_EPHEMERAL_MODE = "true"\n'
)
EMPTY = 'active = "default"\n[profiles.default]\n'
OURS = 'active = "whippet"\n[profiles.whippet]\nPREFECT_API_URL = "http://127.0.0.1:4200/api"\n'


@pytest.mark.parametrize(
    ("environment", "file"),
    [
        ({}, "~/.prefect/profiles.toml"),
        ({"PREFECT_HOME": "/elsewhere"}, "/elsewhere/profiles.toml"),
        ({"PREFECT_HOME": "/a", "PREFECT_PROFILES_PATH": "~/mine.toml"}, "~/mine.toml"),
    ],
)
def test_the_file_is_where_prefect_looks(environment: dict[str, str], file: str) -> None:
    assert profiles_file(environment) == Path(file).expanduser()


def test_the_profile_is_active_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "new" / "profiles.toml"
    keep_profile(path, URL, "whippet:secret")
    written = tomllib.loads(path.read_text("utf-8"))
    assert written["active"] == "whippet"
    assert written["profiles"]["whippet"] == {
        "PREFECT_API_URL": URL,
        "PREFECT_API_AUTH_STRING": "whippet:secret",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    mine = '\n[profiles.mine]\nPREFECT_API_URL = "https://example.org/api"\n'
    path.write_text(path.read_text("utf-8") + mine, "utf-8")
    path.chmod(0o644)
    keep_profile(path, OTHER, None)
    written = tomllib.loads(path.read_text("utf-8"))
    assert written["profiles"]["whippet"] == {"PREFECT_API_URL": OTHER}
    assert written["profiles"]["mine"] == {"PREFECT_API_URL": "https://example.org/api"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_tells_the_profile_to_go_back_to(tmp_path: Path) -> None:
    path, settings = tmp_path / "profiles.toml", Settings(home=tmp_path / "home")
    path.write_text(MINE, "utf-8")
    assert keep_own_profile(settings, path, URL).endswith("back: prefect profile use mine")
    # From then on ours is the active one, and nobody knows what was before.
    assert keep_own_profile(settings, path, OTHER).endswith("use ephemeral")
    assert keep_own_profile(settings, tmp_path / "new.toml", URL).endswith("use ephemeral")


def test_a_file_that_others_link_to_stays_where_it_is(tmp_path: Path) -> None:
    path, kept = tmp_path / "profiles.toml", tmp_path / "dotfiles.toml"
    kept.write_text(MINE, "utf-8")
    path.symlink_to(kept)
    keep_profile(path, URL, None)
    assert path.is_symlink()
    assert tomllib.loads(kept.read_text("utf-8"))["active"] == "whippet"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["dotfiles.toml", "profiles.toml"]


@pytest.mark.parametrize("text", ['profiles = "x"', "[profiles]\nmine = 4", "no table ["])
def test_a_malformed_file_is_one_sentence_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profiles.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=r"profiles in .* cannot be kept"):
        keep_profile(path, URL, None)
    assert path.read_text("utf-8") == text
    assert [each.name for each in tmp_path.iterdir()] == ["profiles.toml"]


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").mkdir()
    with pytest.raises(SettingsError, match=r"profiles in .* cannot be kept"):
        keep_profile(tmp_path / "profiles.toml", URL, None)


@pytest.mark.parametrize(
    ("text", "free"),
    [
        (None, True),
        (UNTOUCHED, True),
        (EMPTY, True),
        (OURS, True),
        (MINE, False),
        (TUNED, False),
        (LOCAL, False),
        (INACTIVE, False),
        ("no table [", False),
        ('profiles = "x"', False),
        ("[profiles]\nmine = 4", False),
    ],
)
def test_only_an_untouched_prefect_gets_the_profile_unasked(
    tmp_path: Path, text: str | None, *, free: bool
) -> None:
    if text is not None:
        (tmp_path / "profiles.toml").write_text(text, "utf-8")
    assert is_free({"PREFECT_HOME": str(tmp_path)}) is free
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE"):
        assert not is_free({"PREFECT_HOME": str(tmp_path), name: "mine"})


@pytest.mark.parametrize("text", [None, UNTOUCHED, EMPTY])
def test_what_was_lent_is_taken_back(tmp_path: Path, text: str | None) -> None:
    path, settings = tmp_path / "profiles.toml", Settings(home=tmp_path / "home")
    if text is not None:
        path.write_text(text, "utf-8")
    said = keep_own_profile(settings, path, URL, lent=True)
    assert said == f"whippet, active in {path} until `whippet down`"
    # `whippet up` again, of another folder now: the later one counts.
    keep_own_profile(settings, path, OTHER, lent=True)
    take_back(path, URL)
    assert tomllib.loads(path.read_text("utf-8"))["active"] == "whippet"
    take_back(path, OTHER)
    left = tomllib.loads(path.read_text("utf-8"))
    assert "whippet" not in left.get("profiles", {})
    assert left.get("active", "ephemeral") == ("default" if text == EMPTY else "ephemeral")
    assert is_free({"PREFECT_HOME": str(tmp_path)})
    take_back(path, OTHER)  # twice is as good as once


def test_what_was_asked_for_stays(tmp_path: Path) -> None:
    path, settings = tmp_path / "profiles.toml", Settings(home=tmp_path / "home")
    keep_own_profile(settings, path, URL, lent=True)
    assert "back: prefect profile use" in keep_own_profile(settings, path, URL)
    # A later `whippet up` that says nothing of it brings the address up to date.
    keep_own_profile(settings, path, OTHER, lent=True)
    take_back(path, OTHER)
    left = tomllib.loads(path.read_text("utf-8"))
    assert left["active"] == "whippet"
    assert left["profiles"]["whippet"] == {"PREFECT_API_URL": OTHER}


def test_a_profile_chosen_since_stays_chosen(tmp_path: Path) -> None:
    path, settings = tmp_path / "profiles.toml", Settings(home=tmp_path / "home")
    keep_own_profile(settings, path, URL, lent=True)
    path.write_text(MINE + path.read_text("utf-8").partition("\n")[2], "utf-8")
    take_back(path, URL)
    left = tomllib.loads(path.read_text("utf-8"))
    assert left["active"] == "mine"
    assert "whippet" not in left["profiles"]


def test_killed_before_the_profile_was_kept(tmp_path: Path) -> None:
    path, settings = tmp_path / "profiles.toml", Settings(home=tmp_path / "home")
    path.mkdir()  # whatever stops it there
    with pytest.raises(SettingsError):
        keep_own_profile(settings, path, URL, lent=True)
    path.rmdir()
    path.write_text(UNTOUCHED, "utf-8")
    keep_own_profile(settings, path, URL, lent=True)
    take_back(path, URL)
    assert tomllib.loads(path.read_text("utf-8"))["active"] == "ephemeral"
    assert [each.name for each in tmp_path.iterdir()] == ["profiles.toml"]


def test_the_servers_own_profiles_stay_its_own(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    path = tmp_path / "prefect" / "profiles.toml"
    for lent in (True, False):
        with pytest.raises(SettingsError, match="unset PREFECT_HOME"):
            keep_own_profile(settings, path, URL, lent=lent)
    assert not path.parent.exists()
