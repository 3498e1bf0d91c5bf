from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sm_entrypoints.contract.files import write_text
from sm_entrypoints.contract.kill_points import (
    VARIABLE,
    killed,
    label_of,
    order_kill,
    points,
    reach,
)

ROOT = Path(__file__).parents[3]
WRITER = """
import sys
from pathlib import Path
from sm_entrypoints.contract.files import write_text
from sm_entrypoints.contract.kill_points import play
play("writer")
for text in "abc":
    write_text(Path(sys.argv[1]), text)
"""


def run(folder: Path, target: Path) -> int:
    return subprocess.run(
        [sys.executable, "-c", WRITER, str(target)],
        env={**os.environ, VARIABLE: str(folder), "PYTHONPATH": str(ROOT)},
        check=False,
    ).returncode


def test_points_are_listed_in_order(tmp_path):
    assert run(tmp_path / "points", tmp_path / "file") == 0
    assert points(tmp_path / "points") == {("writer", "write file"): 3, ("writer", "wrote file"): 3}
    assert killed(tmp_path / "points") == []


@pytest.mark.parametrize(
    ("order", "left"),
    [
        ({"point": "write file"}, None),
        ({"point": "wrote file"}, "a"),
        ({"point": "write file", "count": 3}, "b"),
        ({"role": "writer", "count": 4}, "b"),
        ({"role": "w*", "point": "wrote*", "count": 2}, "b"),
    ],
)
def test_a_process_dies_where_it_was_ordered_to_once(tmp_path, order, left):
    folder, target = tmp_path / "points", tmp_path / "file"
    order_kill(folder, **order)
    assert run(folder, target) == -signal.SIGKILL
    assert (target.read_text() if target.exists() else None) == left
    (found,) = killed(folder)
    assert found["at_role"] == "writer"
    assert run(folder, target) == 0
    assert target.read_text() == "c"
    order_kill(folder, **order, note="again")
    assert run(folder, target) == -signal.SIGKILL
    assert len(killed(folder)) == 2


@pytest.mark.parametrize(
    "order", [{"role": "runner"}, {"point": "wrote"}, {"point": "wrote file", "count": 4}]
)
def test_another_process_or_point_is_left_alone(tmp_path, order):
    order_kill(tmp_path / "points", **order)
    assert run(tmp_path / "points", tmp_path / "file") == 0


def test_it_is_off_by_itself(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    reach("somewhere")
    write_text(tmp_path / "file", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_names_are_the_same_in_every_run():
    assert label_of(Path("a/run.json")) == "run.json"
    assert label_of(Path("pointers/0f52ab77-1b.json")) == "pointers/….json"
