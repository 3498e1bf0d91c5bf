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
# With one of these a shell's Prefect goes by something else than the active profile.
_DECIDING = (_ADDRESS, "PREFECT_PROFILE")


def profiles_file(environment: Mapping[str, str]) -> Path:
    """Return the file of this user's profiles; ask before ``use_server`` sets Prefect's home."""
    own = Path(environment.get("PREFECT_HOME") or "~/.prefect") / "profiles.toml"
    return Path(environment.get("PREFECT_PROFILES_PATH") or own).expanduser()


def is_free(environment: Mapping[str, str]) -> bool:
    """Say whether this user has set up nothing of their own in Prefect, in its file or this shell.

    Then its own commands would find no server at all, and ours can be their default.
    """
    if any(environment.get(name) for name in _DECIDING):
        return False
    try:
        kept = _read(profiles_file(environment))
    except (OSError, ValueError):
        return False  # not ours to mend
    active, profiles = kept.get("active", _USUAL), kept.get("profiles", {})
    if not isinstance(profiles, dict) or active not in {_USUAL, *profiles}:
        return False
    return all(
        name == NAME or (isinstance(values, dict) and set(values) <= _USUAL_SETTINGS)
        for name, values in profiles.items()
    )


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8")) if path.exists() else {}


def _active(path: Path) -> str:
    try:
        return str(_read(path).get("active", _USUAL))
    except (OSError, ValueError):
        return _USUAL


def keep_profile(path: Path, url: str, login: str | None) -> None:
    """Keep a server's address and login as the active profile.

    The other profiles stay as they are. Only its owner may read the file from then on.

    Raises:
        SettingsError: the file cannot be read or written.
    """
    # Prefect reads its settings when it is imported.
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, Profile

    known = {PREFECT_API_URL: url, **({PREFECT_API_AUTH_STRING: login} if login else {})}
    with _profiles(path) as profiles:
        if NAME in profiles.names:
            profiles.remove_profile(NAME)
        profiles.add_profile(Profile(name=NAME, settings=known))
        profiles.set_active(NAME)


@contextmanager
def _profiles(path: Path) -> Iterator[ProfilesCollection]:
    """Give a file's profiles and Prefect's own; write them when the block ends."""
    from prefect.settings import (
        PREFECT_PROFILES_PATH,
        load_profiles,
        save_profiles,
        temporary_settings,
    )

    path = path.resolve()  # some keep it elsewhere, and link to it
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_settings({PREFECT_PROFILES_PATH: path}):
            profiles = load_profiles()
        yield profiles
        # Prefect writes in place: whoever is killed then would leave half of a file.
        fresh.touch(mode=_MODE)
        with temporary_settings({PREFECT_PROFILES_PATH: fresh}):
            save_profiles(profiles)
        fresh.replace(path)
    # What is no profile meets Prefect's code unprepared.
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise SettingsError(
            f"Prefect's profiles in {path} cannot be kept: {clause(error)}"
        ) from error
    finally:
        fresh.unlink(missing_ok=True)


def keep_own_profile(settings: Settings, path: Path, url: str, *, lent: bool = False) -> str:
    """Keep the profile of the server at ``url``; return the line that tells of it.

    One that is ``lent`` goes with the server, by :func:`take_back`; one that was asked for stays.

    Raises:
        SettingsError: the file cannot be read or written, or is the server's own.
    """
    from cli.server.choosing import is_own
    from cli.server.login import VARIABLE, prefect_home, read_login

    if path.resolve() == (prefect_home(settings) / path.name).resolve():
        raise SettingsError(
            f"{path} has the settings of Whippet's own server, not yours: unset PREFECT_HOME and "
            "PREFECT_PROFILES_PATH to let Prefect's commands find the server in every shell"
        )
    login = read_login(settings) if is_own(settings, url) else os.environ.get(VARIABLE)
    note, before = _note(path), _active(path)
    known = _read_note(note)
    lent = lent and (before != NAME or known is not None)
    if before == NAME:  # nobody else knows what was before
        before = known["before"] if known else _USUAL
    if lent:  # first: what is kept without a note would stay
        told = {"before": before, "url": url}
        write_atomically(note, json.dumps(told).encode(), mode=_MODE)
    keep_profile(path, url, login)
    if lent:
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
