"""A PostgreSQL of one's own for tests: Debian's programs, a cluster in a temporary folder.

It listens on a Unix socket in that folder, so no port can be another's; asks for a password; and
works as a user without privileges, since PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import getpass
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PROGRAMS = ("initdb", "pg_ctl", "psql", "pg_dump", "pg_restore")
_UNPRIVILEGED = ("postgres", "nobody")
_SECONDS = 120


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest one's; None where there is none."""
    debians = Path("/usr/lib/postgresql").glob("*/bin")
    folders = sorted(debians, key=lambda each: int(each.parent.name), reverse=True)
    if found := shutil.which("initdb"):
        folders.append(Path(found).resolve().parent)
    return next((f for f in folders if all((f / name).exists() for name in _PROGRAMS)), None)


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A cluster: its programs, folder, whose it is, and its one role with its password."""

    role: str
    bin: Path
    folder: Path
    password: str
    user: str | None

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database, as Prefect's server takes it."""
        return f"postgresql+asyncpg://{self.role}:{self.password}@/{database}?host={self.folder}"

    def run(self, program: str, *argv: str) -> str:
        """Run one of PostgreSQL's client programs to its good end; return what it printed."""
        found = subprocess.run(
            [self.bin / program, "-h", self.folder, "-U", self.role, *argv],
            env={**os.environ, "PGPASSWORD": self.password},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    def query(self, sql: str, database: str = "postgres") -> str:
        """Return what a query answers, one row a line."""
        return self.run("psql", "-d", database, "-Atc", sql).strip()

    def control(self, verb: str, *argv: str) -> None:
        """Call pg_ctl, which waits until it is done; its server must not hold our pipes."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        start = ("-o", options, "-l", str(self.folder / "log")) if verb != "stop" else ()
        found = subprocess.run(
            [self.bin / "pg_ctl", verb, "-w", "-D", str(self.folder / "data"), *start, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self.user,
            cwd=self.folder,
            timeout=_SECONDS,
            check=False,
        )
        log = self.folder / "log"
        assert found.returncode == 0, log.read_text("utf-8") if log.exists() else verb


@contextmanager
def running_postgres(role: str = "whippet") -> Iterator[Postgres]:
    """Make a cluster and run it; stop and remove it in the end.

    Not in pytest's folder: that is closed to other users, and the cluster may be another one's.
    """
    found = programs()
    assert found is not None, "ask programs() first"
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="whippet-postgres-"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        postgres = Postgres(
            role=role, bin=found, folder=folder, password=secrets.token_hex(8), user=user
        )
        _initialize(postgres)
        postgres.control("start")
        try:
            yield postgres
        finally:
            postgres.control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder)


def _user() -> str | None:
    """Return whose the cluster is: ours, unless we are root."""
    if os.geteuid() != 0:
        return None
    known = {each.pw_name for each in pwd.getpwall()}
    return next((each for each in _UNPRIVILEGED if each in known), getpass.getuser())


def _initialize(postgres: Postgres) -> None:
    password = postgres.folder / "password"
    password.write_text(postgres.password)
    if postgres.user is not None:
        shutil.chown(password, postgres.user)
    subprocess.run(
        [
            *(postgres.bin / "initdb", "-D", postgres.folder / "data", "-U", postgres.role),
            *("-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--no-sync"),
        ],
        check=True,
        capture_output=True,
        user=postgres.user,
        cwd=postgres.folder,
        timeout=_SECONDS,
    )
    password.unlink()
