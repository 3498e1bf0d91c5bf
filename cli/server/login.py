"""The server's login: created once, kept where only its owner can read it, never printed.

It stays the same when the server restarts, so that workers keep working. To change it, delete its
file while the server is down.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from cli.console import say
from platforms import Settings
from platforms.errors import SettingsError
from platforms.files import write_atomically
from platforms.loopback import spared_names
from platforms.privacy import make_home
from sm_entrypoints.contract.sentences import clause

# What Prefect's clients read it from.
VARIABLE = "PREFECT_API_AUTH_STRING"
_USER = "whippet"
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_ADDRESS = re.compile(r"^export PREFECT_API_URL=(http://127\.0\.0\.1:\d+/api)$", re.MULTILINE)


def prefect_home(settings: Settings) -> Path:
    """Return Prefect's own folder: its database, the login, the variables for shells."""
    return settings.home / "prefect"


def login_file(settings: Settings) -> Path:
    """Return the file that holds the login, ``user:password``, which is what the UI asks for."""
    return prefect_home(settings) / "login"


def shell_file(settings: Settings) -> Path:
    """Return the file to source in a shell before Prefect's own commands."""
    return prefect_home(settings) / "server.env"


def read_login(settings: Settings) -> str | None:
    """Return the login, None when there is none."""
    try:
        return login_file(settings).read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None


def make_login(settings: Settings) -> str:
    """Return the login for a server that is about to start; a new one unless there is a good one. A
    login that others could read, or that somebody else wrote, is not secret and is replaced.

    Raises:
        SettingsError: Prefect's folder is somebody else's, or no folder.
    """
    make_private(settings)
    path = login_file(settings)
    login = read_login(settings)
    if login is not None and _is_private(path):
        return login
    made = f"{_USER}:{secrets.token_urlsafe(32)}"
    write_atomically(path, f"{made}\n".encode(), mode=_FILE_MODE)
    if not _is_private(path):
        say(
            f"note: other users of this machine may be able to read {path}: its file system has "
            "no permissions; set WHIPPET_HOME to a folder on another one"
        )
    return made


def make_private(settings: Settings) -> None:
    """Create Prefect's folder, or close it: others must not access its database either.

    Raises:
        SettingsError: it is somebody else's, or no folder.
    """
    folder = prefect_home(settings)
    try:
        make_home(settings.home)
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            folder.chmod(_FOLDER_MODE)
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be made private: {clause(error)}; set WHIPPET_HOME to a folder of "
            "your own"
        ) from error


def _is_private(path: Path) -> bool:
    status = path.lstat()
    mine = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
    return mine and not stat.S_IMODE(status.st_mode) & 0o077


def write_shell_file(settings: Settings, api_url: str, login: str) -> None:
    """Write the variables that Prefect's own commands need, for a shell to source."""
    text = "\n".join(_shell_lines(api_url, login)) + "\n"
    path = shell_file(settings)
    if not path.exists() or path.read_text("utf-8") != text or not _is_private(path):
        write_atomically(path, text.encode(), mode=_FILE_MODE)


def last_address(settings: Settings) -> str | None:
    """Return the API's address that the last server of ours had, None if there was none."""
    try:
        text = shell_file(settings).read_text("utf-8")
    except FileNotFoundError:
        return None
    match = _ADDRESS.search(text)
    return match[1] if match else None


def _shell_lines(api_url: str, login: str) -> Iterator[str]:
    yield "# Points Prefect's commands at the server of `whippet up`. Keep it to yourself."
    yield f"export PREFECT_API_URL={api_url}"
    yield f"export {VARIABLE}={shlex.quote(login)}"
    yield "# No proxy can reach this machine's own addresses."
    # Plain values, for any shell: fish knows no ${…}.
    spared = shlex.quote(spared_names())
    yield from (f"export {name}={spared}" for name in ("NO_PROXY", "no_proxy"))


def sign_in_command(settings: Settings) -> str:
    """Return the command that shows people the login; we never print it: output ends in logs."""
    return f"cat {shlex.quote(str(login_file(settings)))}"


def shell_command(settings: Settings) -> str:
    """Return the command that points a shell, and Prefect's commands in it, at the server."""
    return f". {shlex.quote(str(shell_file(settings)))}"


def prefect_program() -> str:
    """Return how a shell calls Prefect's own commands: by path, unless it finds ours by name."""
    ours = Path(sys.executable).with_name("prefect")
    found = shutil.which("prefect")
    return (
        "prefect" if found and Path(found).resolve() == ours.resolve() else shlex.quote(str(ours))
    )
