"""Prefect's profile of this user: with it Prefect's own commands find our server in every shell.

Where nobody has set up Prefect for themselves, ``whippet up`` keeps it unasked and ``whippet down``
takes it back. Otherwise it is kept on request, and stays.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platforms import Settings
from platforms.errors import SettingsError
from platforms.files import write_atomically
from sm_entrypoints.contract.sentences import clause

if TYPE_CHECKING:
    from prefect.settings import ProfilesCollection

NAME = "whippet"
# Prefect's own, for who has chosen none, and what it sets, by its old and its new name.
_USUAL = "ephemeral"
_USUAL_SETTINGS = {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "PREFECT_SERVER_EPHEMERAL_ENABLED"}
_MODE = 0o600
_ADDRESS = "PREFECT_API_URL"
# With one of these a shell's Prefect goes by no active profile, or by another server's.
_DECIDING = (_ADDRESS, "PREFECT_PROFILE")


def profiles_file(environment: Mapping[str, str]) -> Path:
    """Return the file of this user's profiles; ask before ``use_server`` sets Prefect's home."""
    own = Path(environment.get("PREFECT_HOME") or "~/.prefect") / "profiles.toml"
    return Path(environment.get("PREFECT_PROFILES_PATH") or own).expanduser()


def is_free(environment: Mapping[str, str]) -> bool:
    """Say whether Prefect is as it was installed, for this user and shell, or has our profile.

    Then its own commands would find no server at all, and ours can be their default.
    """
    if any(environment.get(name) for name in _DECIDING):
        return False
    path = profiles_file(environment)
    try:
        kept = _read(path)
    except (OSError, ValueError):
        return False  # not ours to mend
    active: str = kept.get("active", _USUAL)
    chosen = kept.get("profiles", {}).get(active)
    if chosen is None:  # one of Prefect's own; ephemeral is the only one that means no server
        return active == _USUAL
    return active == NAME or set(chosen) <= _USUAL_SETTINGS


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8")) if path.exists() else {}


def _active(path: Path) -> str | None:
    try:
        active: str | None = _read(path).get("active")
    except (OSError, ValueError):
        return None
    return active


def keep_profile(path: Path, url: str, login: str | None) -> str:
    """Keep a server's address and login as the active profile; return the one to go back to.

    The other profiles stay as they are. Only its owner may read the file from then on.

    Raises:
        SettingsError: the file cannot be read or written.
    """
    # Prefect reads its settings when it is imported.
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, Profile

    known = {PREFECT_API_URL: url, **({PREFECT_API_AUTH_STRING: login} if login else {})}
    with _profiles(path) as profiles:
        before = profiles.active_name
        if NAME in profiles.names:
            profiles.remove_profile(NAME)
        profiles.add_profile(Profile(name=NAME, settings=known))
        profiles.set_active(NAME)
    return before if before and before != NAME else _USUAL


@contextmanager
def _profiles(path: Path) -> Iterator[ProfilesCollection]:
    """Give a file's profiles and Prefect's own; write them when the block ends."""
    from prefect.settings import (
        PREFECT_PROFILES_PATH,
        load_profiles,
        save_profiles,
        temporary_settings,
    )

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=_MODE)
        path.chmod(_MODE)
        with temporary_settings({PREFECT_PROFILES_PATH: path}):
            profiles = load_profiles()
            yield profiles
            save_profiles(profiles)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"Prefect's profiles in {path} cannot be kept: {clause(error)}"
        ) from error


def keep_own_profile(settings: Settings, path: Path, url: str, *, lent: bool = False) -> str:
    """Keep the profile of the server at ``url``; return the line that tells of it.

    One that is ``lent`` goes with the server, by :func:`take_back`; one that was asked for stays.

    Raises:
        SettingsError: the file cannot be read or written.
    """
    from cli.server.choosing import is_own
    from cli.server.login import VARIABLE, read_login

    login = read_login(settings) if is_own(settings, url) else os.environ.get(VARIABLE)
    note = _note(path)
    known = _read_note(note)
    asked_before = known is None and _active(path) == NAME
    before = keep_profile(path, url, login)
    if lent and not asked_before:
        told = {"before": known["before"] if known else before, "url": url}
        write_atomically(note, json.dumps(told).encode(), mode=_MODE)
        return f"{NAME}, active in {path} until `whippet down`"
    note.unlink(missing_ok=True)
    return f"{NAME}, active in {path}; back: prefect profile use {before}"


def take_back(path: Path, url: str) -> None:
    """Remove the profile that was lent to a server, unless it is another server's by now.

    Raises:
        SettingsError: the file cannot be read or written.
    """
    note = _note(path)
    known = _read_note(note)
    if known is None or known["url"] != url:
        return
    with _profiles(path) as profiles:
        if profiles.active_name == NAME:
            before = known["before"]
            profiles.set_active(before if before in profiles.names else None)
        if NAME in profiles.names:
            profiles.remove_profile(NAME)
    note.unlink(missing_ok=True)


def _note(path: Path) -> Path:
    return path.with_name("whippet_profile.json")


def _read_note(note: Path) -> dict[str, str] | None:
    try:
        found: dict[str, str] = json.loads(note.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found
