from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from platforms.archives import regular_files
from platforms.files import point_to, read_json, replacing, write_atomically, write_json
from sm_entrypoints.contract.files import clear_staged, staged

ROOT = Path(__file__).resolve().parents[2]


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a program that prints a line when it is ready; wait for that line."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_content_is_replaced_and_nothing_else_left(awkward_path):
    path = awkward_path / "sub" / "é.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_content_and_no_debris(awkward_path):
    path = awkward_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "text is not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(awkward_path.iterdir()) == [path]


def test_what_a_kill_left_half_written_is_cleared_away(awkward_path):
    folder = awkward_path / "in"
    folder.mkdir()
    mine = [awkward_path / ".hidden", awkward_path / ".c#1", folder / "a#123456789", folder / "b"]
    for path in (*mine, staged(folder / "b"), staged(awkward_path / "é.json")):
        path.write_text("x")
    clear_staged(awkward_path)
    assert sorted(each for each in awkward_path.rglob("*") if each.is_file()) == sorted(mine)
    clear_staged(awkward_path / "not there")


def test_a_file_that_goes_while_files_are_listed_is_none(awkward_path, monkeypatch):
    for name in ("gone", "stays"):
        (awkward_path / name).write_text("x")
    there = Path.lstat

    def lstat(path):
        (awkward_path / "gone").unlink(missing_ok=True)
        return there(path)

    monkeypatch.setattr(Path, "lstat", lstat)
    assert regular_files(awkward_path) == [awkward_path / "stays"]


def test_a_block_that_fails_leaves_the_old_content_and_no_debris(awkward_path):
    path = awkward_path / "file"
    with replacing(path) as fresh:
        fresh.write_text("old")
    with pytest.raises(TypeError), replacing(path) as fresh:
        fresh.write_bytes("half")  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(awkward_path.iterdir()) == [path]


def test_a_name_as_long_as_a_file_system_allows(tmp_path):
    path = tmp_path / ("é" * 127)
    write_atomically(path, b"all")
    assert path.read_bytes() == b"all"


def test_nobody_reads_the_content_before_the_mode_says_so(tmp_path):
    path = tmp_path / "secret"
    write_atomically(path, b"word", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0, 0o666)])
def test_without_a_mode_the_umask_decides(tmp_path, umask, mode):
    path = tmp_path / "report"
    old = os.umask(umask)
    try:
        write_atomically(path, b"report")
        write_atomically(tmp_path / "secret", b"word", mode=0o600)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == mode
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_folder_is_not_made_again_where_it_must_not_be(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "gone" / "file", b"", make_folder=False)
    assert list(tmp_path.iterdir()) == []


WRITER = """
import sys
from pathlib import Path
from platforms.files import write_atomically
path, size = Path(sys.argv[1]), 300_000
write_atomically(path, b"0" * size)
print("ready", flush=True)
number = 0
while True:
    number += 1
    write_atomically(path, str(number % 10).encode() * size)
"""


@pytest.mark.slow
def test_kill_9_at_any_moment_leaves_a_whole_file(awkward_path):
    path = awkward_path / "record"
    for delay in (0.0, 0.003, 0.007, 0.011, 0.019, 0.031, 0.05, 0.08):
        writer = start(WRITER, path)
        time.sleep(delay)
        end(writer)
        content = path.read_bytes()
        assert len(content) == 300_000
        assert content == content[:1] * 300_000


def test_a_reader_never_sees_half_a_file(awkward_path):
    path = awkward_path / "record"
    writer = start(WRITER, path)
    try:
        stop = time.monotonic() + 60
        seen = set()
        while len(seen) < 10 and time.monotonic() < stop:
            content = path.read_bytes()
            assert content == content[:1] * 300_000
            seen.add(content[:1])
    finally:
        end(writer)
    assert len(seen) == 10


def test_json_is_readable_and_takes_paths_and_dates(awkward_path):
    path = awkward_path / "x.json"
    write_json(path, {"path": Path("/a/é"), "n": [1, 2.5, None]})
    assert read_json(path) == {"path": "/a/é", "n": [1, 2.5, None]}
    assert "é" in path.read_text("utf-8")
    assert path.read_text("utf-8").endswith("}\n")
    json.loads(path.read_text("utf-8"))


def test_a_link_moves_and_stays_relative(awkward_path):
    link = awkward_path / "latest"
    for name in ("first", "second"):
        (awkward_path / name).mkdir()
        point_to(link, awkward_path / name)
        assert link.resolve() == (awkward_path / name).resolve()
        assert str(link.readlink()) == name
    assert sorted(p.name for p in awkward_path.iterdir()) == ["first", "latest", "second"]
