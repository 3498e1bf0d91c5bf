"""A whole run with secrets in its environment, under umask 000: nothing gets out, nobody in."""

from __future__ import annotations

import base64
import gzip
import json
import os
import stat
from pathlib import Path

import httpx
import pytest

from tests.worlds.canaries import PLANTED, forms, found_in, leaks, secrets

pytestmark = [pytest.mark.slow, pytest.mark.job]
# Of Prefect's API: all that it knows of runs.
TOLD = ("flow_runs", "task_runs", "logs", "artifacts", "block_documents", "variables", "events")


def test_what_is_looked_for_would_be_found(tmp_path: Path) -> None:
    for number, (name, secret) in enumerate(secrets().items()):
        kinds = [
            f"x{secret}y".encode(),
            base64.b64encode(f"{'x' * number}{secret}y".encode()),
            gzip.compress(json.dumps({"environment": {name: PLANTED[name]}}).encode()),
            secret.encode().hex().encode(),
        ]
        for kind in kinds:
            assert found_in(kind) == [name], kind
        assert all(len(form) > 8 for form in forms(secret))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / secrets()["HF_TOKEN"]).touch()
    (tmp_path / "a" / "link").symlink_to(secrets()["GITHUB_TOKEN"])
    assert sorted(leaks(tmp_path).values()) == [["GITHUB_TOKEN"], ["HF_TOKEN"]]


def test_no_file_of_a_run_holds_a_secret(released) -> None:
    files = [path for path in released.whippet.home.rglob("*") if path.is_file()]
    assert len(files) > 100
    assert {path.name for path in files} >= {"run.json", "report.html", "record.json"}
    assert leaks(released.whippet.home) == {}


def test_no_output_holds_a_secret(released) -> None:
    for ended in (released.ended, released.predicted):
        assert found_in(f"{ended.out}\n{ended.err}".encode()) == []


def test_prefect_is_told_no_secret(released) -> None:
    seen = 0
    for kind in TOLD:
        answer = httpx.post(f"{released.whippet.api_url}/{kind}/filter", json={"limit": 50})
        assert answer.status_code == 200, (kind, answer.text)
        seen += len(answer.content)
        assert found_in(answer.content) == []
    assert seen > 10_000
    assert leaks(Path(os.environ["PREFECT_HOME"])) == {}


def test_nobody_else_gets_in_whatever_the_umask(released) -> None:
    home = released.whippet.home
    open_files = [path for path in home.rglob("*") if _may_read(path) and not path.is_symlink()]
    assert open_files, "umask 000 was in force, or this test shows nothing"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_what_a_user_asks_for_follows_the_umask(released, tmp_path: Path) -> None:
    fetched = tmp_path / "fetched"
    uri = f"{released.record['data']['uri']}/test"
    ended = released.whippet.run("fetch", uri, str(fetched))
    assert ended.code == 0, ended.err
    assert {stat.S_IMODE(path.stat().st_mode) for path in fetched.rglob("*.jpg")} == {0o666}


def _may_read(path: Path) -> bool:
    return bool(path.lstat().st_mode & 0o004)
