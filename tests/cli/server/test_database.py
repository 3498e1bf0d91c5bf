"""The empty database that new Prefect servers begin with is the one that Prefect would make."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cli.server.database import empty_database, place_database
from platforms.settings import PROJECT_ROOT

MAKE = """
import sys
from pathlib import Path
from cli.server.database import make_database
make_database(Path(sys.argv[1]))
"""
HEADS = """
from alembic.script import ScriptDirectory
from prefect.server.database import provide_database_interface
from prefect.server.database.alembic_commands import alembic_config
scripts = ScriptDirectory.from_config(alembic_config())
scripts.version_locations = [str(provide_database_interface().orm.versions_dir)]
print(*scripts.get_heads())
"""


def test_a_home_without_a_database_gets_the_empty_one(tmp_path: Path) -> None:
    home, empty = tmp_path / "home", tmp_path / "empty.db"
    home.mkdir()
    assert not place_database(home, empty)  # nobody made it: Prefect will
    assert not list(home.iterdir())
    empty.write_bytes(b"tables")
    assert place_database(home, empty)
    assert [each.name for each in home.iterdir()] == ["prefect.db"]
    assert (home / "prefect.db").read_bytes() == b"tables"


def test_a_database_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "prefect.db").write_bytes(b"runs of last year")
    empty = tmp_path / "empty.db"
    empty.write_bytes(b"tables")
    assert not place_database(tmp_path, empty)
    assert (tmp_path / "prefect.db").read_bytes() == b"runs of last year"


def test_each_version_of_prefect_and_of_sqlite_has_its_own() -> None:
    name = empty_database().name
    assert sqlite3.sqlite_version in name
    assert empty_database().is_relative_to(sys.prefix)


@pytest.mark.slow
def test_the_empty_database_has_all_migrations_and_no_row(tmp_path: Path) -> None:
    target = tmp_path / "share" / "empty.db"
    ran = [
        subprocess.run(
            [sys.executable, "-c", script, str(target)],
            cwd=PROJECT_ROOT,
            env={"PATH": "", "HOME": str(tmp_path), "PREFECT_API_URL": "http://127.0.0.1:9/api"},
            capture_output=True,
            text=True,
            check=True,
        )
        for script in (MAKE, HEADS)
    ]
    database = sqlite3.connect(target)
    tables = [
        name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    assert {"flow_run", "block_document", "configuration"} <= set(tables)
    filled = [
        name for name in tables if database.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchall()
    ]
    assert filled == ["alembic_version"]
    versions = [text for (text,) in database.execute("SELECT version_num FROM alembic_version")]
    assert versions == ran[1].stdout.split()
    database.close()
    assert [each.name for each in target.parent.iterdir()] == ["empty.db"]
