"""Which Prefect server a command uses: the configured one, or else our own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from urllib.parse import urlsplit

from cli.console import say
from cli.server.health import Answer, look
from cli.server.login import (
    VARIABLE,
    last_address,
    make_private,
    prefect_home,
    read_login,
    shell_command,
    sign_in_command,
    write_shell_file,
)
from cli.server.notes import note_another, note_database, reason_of_end, ui_url, without_login
from cli.server.record import Server, read_server
from platforms import Settings
from platforms.errors import SettingsError
from platforms.locks import held
from platforms.loopback import is_loopback
from platforms.processes.process import ProcessId, alive, spawn_detached, terminate_group
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract.sentences import clause

_DEFAULT_PORT = 4200
_START_SECONDS = 120.0
STOP_SECONDS = 15.0
_POLL_SECONDS = 0.2
# All that the server may see of our environment: no token of anybody, and no PREFECT_*.
_ALLOWED_VARIABLES = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ"),
    *("LANG", "LC_ALL", "LC_CTYPE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)


def use_server(settings: Settings, meanwhile: Callable[[], object] = lambda: None) -> str:
    """Point Prefect, in this process and its children, at a healthy server; return its API URL.

    That is ``PREFECT_API_URL`` if it is set, otherwise the one we started earlier, otherwise a new
    one. A server of somebody else is never used unless it was asked for.

    Must run before Prefect is imported: it reads its settings then. ``meanwhile`` may import it: it
    runs in a thread while a new server starts, which takes seconds, and what it raises is lost.

    Raises:
        SettingsError: ``PREFECT_API_URL`` does not answer or asks for another login, or the new
            server did not start.
    """
    configured_url = os.environ.get("PREFECT_API_URL")
    if configured_url and not _means_ours(settings, configured_url):
        url, login = configured_url, os.environ.get(VARIABLE)
        _require_usable(url, login)
        make_private(settings)
    else:
        url, login = _own_server(settings, meanwhile)
    _point_prefect(settings, url, login)
    return url


def known_server(settings: Settings) -> str | None:
    """Point Prefect at the server that :func:`use_server` would use, if it runs; start none."""
    configured_url = os.environ.get("PREFECT_API_URL")
    if configured_url and not _means_ours(settings, configured_url):
        url, login = configured_url, os.environ.get(VARIABLE)
    else:
        server = read_server(settings)
        if server is None:
            return None
        url, login = server.api_url, read_login(settings)
    if not look(url, login).usable:
        return None
    _point_prefect(settings, url, login)
    return url


def _point_prefect(settings: Settings, url: str, login: str | None) -> None:
    os.environ["PREFECT_API_URL"] = url
    if login is not None:
        os.environ[VARIABLE] = login
    os.environ.setdefault("PREFECT_HOME", str(prefect_home(settings)))
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")


def ui_and_password(settings: Settings, api_url: str) -> str:
    """Return the UI's address, and how to see the password when the server is ours."""
    password = f"  (password: {sign_in_command(settings)})" if is_own(settings, api_url) else ""
    return f"{ui_url(api_url)}{password}"


def is_own(settings: Settings, api_url: str) -> bool:
    """Say whether the server that we started, and that still runs, has this address."""
    server = read_server(settings)
    return server is not None and _same_port(api_url, server.api_url)


def _means_ours(settings: Settings, api_url: str) -> bool:
    """Say whether an address is our server's, or was and is now free."""
    if is_own(settings, api_url):
        return True
    last = last_address(settings)
    return last is not None and _same_port(api_url, last) and not look(api_url).healthy


def _same_port(api_url: str, ours: str) -> bool:
    return is_loopback(api_url) and urlsplit(api_url).port == urlsplit(ours).port


def _require_usable(url: str, login: str | None) -> None:
    server, shown = look(url, login), without_login(url)
    if server.usable:
        return
    if server.refused:
        how = f"rejects the login in {VARIABLE}" if login else "asks for a login"
        raise SettingsError(
            f"the Prefect server at PREFECT_API_URL={shown!r} {how}: set {VARIABLE} to its "
            f"user:password, or unset PREFECT_API_URL for a server of Whippet's own. If another "
            f"folder's `whippet up` started it, source that folder's prefect/server.env"
        )
    if server.version is None:
        raise SettingsError(
            f"no Prefect server answers at PREFECT_API_URL={shown!r}: start it, or unset the "
            "variable"
        )
    raise SettingsError(
        f"the Prefect server at PREFECT_API_URL={shown!r} has version {server.version}, not ours "
        f"({version('prefect')}): use a server of our version, or unset the variable"
    )


def _own_server(settings: Settings, meanwhile: Callable[[], object]) -> tuple[str, str]:
    make_private(settings)
    # Two commands at once must not start two servers: `down` knows one.
    with held(settings.home / ".server.lock", make_folder=True):
        url = _running(settings) or _start(settings, meanwhile)
        login = read_login(settings)
        if login is None:
            raise SettingsError("the login of the Prefect server was removed: try again")
        write_shell_file(settings, url, login)
    return url, login


def _running(settings: Settings) -> str | None:
    """Return the address of the server that we started; one that still starts is waited for.

    One that cannot be used, or that lets everybody in, is stopped.
    """
    server = read_server(settings)
    if server is None:
        return None
    login = read_login(settings)
    problem = _problem(_wait(server, login))
    if problem is None and not look(server.api_url).refused:
        problem = "asks for no password, since an older Whippet started it"
    if problem is None:
        return server.api_url
    say(
        f"the Prefect server at {ui_url(server.api_url)} {clause(problem)}: it will be "
        f"restarted; restart its workers too, after `{shell_command(settings)}`"
    )
    # Two servers must not share one database.
    terminate_group(server, STOP_SECONDS)
    return None


def _problem(found: Answer) -> str | None:
    if found.usable:
        return None
    if found.refused:
        return "rejects the password in its file"
    if found.version is not None:
        return f"has version {found.version}, not ours ({version('prefect')})"
    return "does not answer"


def _start(settings: Settings, meanwhile: Callable[[], object]) -> str:
    log = settings.home / "server.log"
    last = last_address(settings)
    # Where it was before, so that shells and workers find it again.
    port = urlsplit(last).port if last else _DEFAULT_PORT
    process = spawn_detached(
        # Nothing is imported from the folder that it works in.
        [sys.executable, "-P", "-m", "cli.server.program", str(settings.home), str(port)],
        env=server_environment(os.environ),
        log=log,
        cwd=settings.home,
    )
    server = _announced(settings, process)
    if server is not None:
        url = server.api_url
        say(f"starting a Prefect server at {ui_url(url)} …")
        note_another(url, _DEFAULT_PORT)
        note_database(settings)
        login = read_login(settings)
        # It has its port and its login; another command that meets it there waits, too.
        _point_prefect(settings, url, login)
        with ThreadPoolExecutor(1) as beside:
            beside.submit(meanwhile)
            usable = _wait(server, login).usable
        if usable:
            return url
    terminate_group(process, STOP_SECONDS)
    reason = reason_of_end(log)
    why = f"{clause(reason)}; see {log}" if reason else f"see {log}"
    raise SettingsError(f"the Prefect server did not start: {why}")


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return all of the environment of a server that is started from ``environment``."""
    seen = {name: environment[name] for name in _ALLOWED_VARIABLES if name in environment}
    return {**seen, "PYTHONPATH": str(PROJECT_ROOT), "PYTHONUNBUFFERED": "1"}


def _announced(settings: Settings, process: ProcessId) -> Server | None:
    """Wait until the process has a port; None if it ends first."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and alive(process):
        server = read_server(settings)
        if server is not None and server.pid == process.pid:
            return server
        time.sleep(_POLL_SECONDS)
    return None


def _wait(server: Server, login: str | None) -> Answer:
    """Return the server's answer, once there is one; none if it ends or takes too long."""
    end = time.monotonic() + _START_SECONDS
    answer = Answer()
    while time.monotonic() < end and alive(server):
        answer = look(server.api_url, login)
        if answer.healthy:
            break
        time.sleep(_POLL_SECONDS)
    return answer
