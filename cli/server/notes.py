"""What people are told about servers: addresses, another server, a database, why one ended."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from cli.console import say
from cli.server.health import look
from cli.server.login import VARIABLE, prefect_home, prefect_program
from platforms import Settings

# A traceback's last line; only the end of the log is about this start.
_EXCEPTION = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception): .+)$", re.MULTILINE)
_LOG_END = 20_000
# Prefect's names for the database's address. Our server reads its own profile: a shell is no place
# to keep it, since the next shell would start another server with another database.
_DATABASE_VARIABLES = (
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_DATABASE_CONNECTION_URL",
)


def ui_url(api_url: str) -> str:
    """Return the address of the UI that belongs to an API, without a login that is part of it."""
    return without_login(api_url).rstrip("/").removesuffix("/api")


def without_login(url: str) -> str:
    """Return an address as it may be shown: a password in it would end in logs."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def note_another(url: str, usual_port: int) -> None:
    """Report a Prefect server on Prefect's default port, where users may look for theirs."""
    usual = f"http://127.0.0.1:{usual_port}/api"
    if usual != url and look(usual).healthy:
        say(
            f"note: another Prefect server answers at {ui_url(usual)}; to use that one, export "
            f"PREFECT_API_URL={usual} (and {VARIABLE}, if it asks for a login)"
        )


def note_database(settings: Settings) -> None:
    """Say that a database that the shell names is not used, and how to have it used."""
    named = next((each for each in _DATABASE_VARIABLES if os.environ.get(each)), None)
    profiles = prefect_home(settings) / "profiles.toml"
    kept = profiles.read_text("utf-8") if profiles.is_file() else ""
    if named is not None and os.environ[named] not in kept:
        home = shlex.quote(str(prefect_home(settings)))
        keep = f'{prefect_program()} config set {_DATABASE_VARIABLES[0]}="${named}"'
        say(
            f"note: Whippet's own server ignores {named} of this shell. To have it keep that "
            f"database, run `PREFECT_HOME={home} {keep}`, then `whippet down` and `whippet up`"
        )


def reason_of_end(log: Path) -> str:
    """Return why a server ended, as far as its log says so, else nothing."""
    found = _EXCEPTION.findall(log.read_text("utf-8", "replace")[-_LOG_END:])
    return str(found[-1]) if found else ""
