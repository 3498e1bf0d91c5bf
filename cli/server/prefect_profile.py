"""Prefect's profile of this user: with it Prefect's own commands find our server in every shell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from platforms import Settings
from platforms.errors import SettingsError
from sm_entrypoints.contract.sentences import clause

NAME = "whippet"
# Prefect's own, for who has chosen none.
_USUAL = "ephemeral"
_MODE = 0o600


def profiles_file(environment: Mapping[str, str]) -> Path:
    """Return the file of this user's profiles; ask before ``use_server`` sets Prefect's home."""
    own = Path(environment.get("PREFECT_HOME") or "~/.prefect") / "profiles.toml"
    return Path(environment.get("PREFECT_PROFILES_PATH") or own).expanduser()


def keep_profile(path: Path, url: str, login: str | None) -> str:
    """Keep a server's address and login as the active profile; return the one to go back to.

    The other profiles stay as they are. Only its owner may read the file from then on.

    Raises:
        SettingsError: the file cannot be read or written.
    """
    # Prefect reads its settings when it is imported.
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_PROFILES_PATH,
        Profile,
        load_profiles,
        save_profiles,
        temporary_settings,
    )

    known = {PREFECT_API_URL: url, **({PREFECT_API_AUTH_STRING: login} if login else {})}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=_MODE)
        path.chmod(_MODE)
        with temporary_settings({PREFECT_PROFILES_PATH: path}):
            profiles = load_profiles()
            before = profiles.active_name
            if NAME in profiles.names:
                profiles.remove_profile(NAME)
            profiles.add_profile(Profile(name=NAME, settings=known))
            profiles.set_active(NAME)
            save_profiles(profiles)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"Prefect's profiles in {path} cannot be kept: {clause(error)}"
        ) from error
    return before if before and before != NAME else _USUAL


def keep_own_profile(settings: Settings, path: Path, url: str) -> str:
    """Keep the profile of the server at ``url``; return the line that tells of it."""
    from cli.server.choosing import is_own
    from cli.server.login import VARIABLE, read_login

    login = read_login(settings) if is_own(settings, url) else os.environ.get(VARIABLE)
    before = keep_profile(path, url, login)
    return f"{NAME}, active in {path}; back: prefect profile use {before}"
