"""The database of a new Prefect server: a copy of an empty one, made once for an environment.

Prefect makes its tables by all migrations since its first version, which takes more than half of
a new server's start. ``python -m cli.server.database``, a part of ``make setup``, does it ahead;
where nobody did, and for a database that is there already, Prefect migrates as it always does.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from platforms.files import replacing

_NAME = "prefect.db"


def empty_database() -> Path:
    """Return where this environment's empty database is, if it was made."""
    kind = f"prefect-{version('prefect')}-sqlite-{sqlite3.sqlite_version}.db"
    return Path(sys.prefix, "share", "whippet", kind)


def place_database(home: Path, empty: Path) -> bool:
    """Copy the database ``empty`` to a Prefect home that has none; tell whether that was done.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    target = home / _NAME
    if target.exists() or not empty.is_file():
        return False
    with replacing(target) as fresh:
        shutil.copyfile(empty, fresh)
    return True


def make_database(target: Path) -> None:
    """Let Prefect make its tables, and write the database, which has no rows, to ``target``.

    Must run before Prefect is imported, and in a process of its own: it changes the environment.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="whippet-database-") as home:
        # Nobody's profile or database, and no login.
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            del os.environ[name]
        os.environ["PREFECT_HOME"] = home
        # Prefect reads its settings when it is imported.
        from prefect.server.database import provide_database_interface

        asyncio.run(provide_database_interface().create_db())
        with replacing(target) as fresh:
            database = sqlite3.connect(Path(home, _NAME))
            # One file, whatever its journal still holds.
            database.execute("VACUUM INTO ?", (str(fresh),))
            database.close()


if __name__ == "__main__":
    if not empty_database().is_file():
        make_database(empty_database())
