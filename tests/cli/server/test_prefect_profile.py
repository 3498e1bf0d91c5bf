"""`whippet up --profile`: Prefect's own commands know the server without a sourced file."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from cli.server.prefect_profile import keep_profile, profiles_file
from platforms.errors import SettingsError

URL, OTHER = "http://127.0.0.1:4200/api", "http://127.0.0.1:4201/api"


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
    path = tmp_path / "profiles.toml"
    mine = 'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "https://example.org/api"\n'
    path.write_text(mine, "utf-8")
    assert keep_profile(path, URL, None) == "mine"
    # From then on ours is the active one, and nobody knows what was before.
    assert keep_profile(path, OTHER, None) == "ephemeral"
    assert keep_profile(tmp_path / "new.toml", URL, None) == "ephemeral"


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").mkdir()
    with pytest.raises(SettingsError, match=r"profiles in .* cannot be kept"):
        keep_profile(tmp_path / "profiles.toml", URL, None)
