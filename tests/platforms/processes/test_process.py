from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from platforms.processes.process import (
    ProcessError,
    ProcessId,
    alive,
    group_alive,
    identify,
    spawn_detached,
    terminate_group,
    terminate_session,
)
from tests.worlds.waiting import wait_for

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
IGNORE = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEP


def spawn(tmp_path: Path, script: str, **env: str) -> ProcessId:
    return spawn_detached(
        [sys.executable, "-c", script], env=env, log=tmp_path / "log", cwd=tmp_path
    )


def up(tmp_path: Path) -> bool:
    return "up" in (tmp_path / "log").read_text()


def test_a_process_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "here" é'
    folder.mkdir()
    script = (
        "import os, sys; print(os.getcwd(), sorted(os.environ), sys.stdin.read(), os.getsid(0))"
    )
    process = spawn(folder, script, ONLY="this")
    wait_for(lambda: not alive(process), "end of the process")
    text = (folder / "log").read_text()
    assert str(folder) in text
    assert "'ONLY'" in text
    assert "'HOME'" not in text
    assert f" {process.pid}\n" in text
    assert process.pid not in [child.pid for child in psutil.Process().children(recursive=True)]


def test_it_survives_its_starter(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from platforms.processes.process import spawn_detached
argv = [sys.executable, "-c", {SLEEP!r}]
process = spawn_detached(argv, env={{}}, log=Path("log"), cwd=Path("."))
print(process.pid, process.started)
"""
    root = Path(__file__).resolve().parents[3]
    answer = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    process = ProcessId(pid=int(answer[0]), started=float(answer[1]))
    assert alive(process)
    assert ProcessId.from_record(process.to_record()) == process
    older = {key: value for key, value in process.to_record().items() if key != "Boot"}
    assert alive(ProcessId.from_record(older)) == alive(process)
    terminate_group(process, 10)
    assert not alive(process)


def test_what_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="no-such-program"):
        spawn_detached(["/no-such-program"], env={}, log=tmp_path / "log", cwd=tmp_path)


def test_a_recycled_pid_is_another_process(tmp_path: Path) -> None:
    mine = identify(os.getpid())
    assert alive(mine)
    recycled = ProcessId(pid=mine.pid, started=mine.started - 3600)
    assert not alive(recycled)
    terminate_group(recycled, 0)  # Would end this test run if it were taken for ours.
    terminate_session(recycled)


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    zombie = identify(child.pid)
    wait_for(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE, "end of the child")
    assert not alive(zombie)
    child.wait()
    assert not alive(zombie)


def test_sigkill_after_the_grace(tmp_path: Path) -> None:
    process = spawn(tmp_path, IGNORE)
    wait_for(lambda: up(tmp_path), "first line")
    terminate_group(process, 0.2)
    assert not alive(process)
    terminate_group(process, 0.2)


def test_members_that_outlive_their_leader(tmp_path: Path) -> None:
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {IGNORE!r}])"
    process = spawn(tmp_path, script)
    wait_for(lambda: up(tmp_path) and not alive(process), "end of the leader")
    assert group_alive(process.pid)
    terminate_group(process, 0.2)
    assert not group_alive(process.pid)


def test_a_dead_leaders_session(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys; "
        f"subprocess.Popen([sys.executable, '-c', {SLEEP!r}], process_group=0)"
    )
    process = spawn(tmp_path, script)
    wait_for(lambda: up(tmp_path) and not alive(process), "end of the leader")
    assert _session(process.pid)
    terminate_session(process)
    wait_for(lambda: not _session(process.pid), "end of the session")


def _session(leader: int) -> list[int]:
    return [process.pid for process in psutil.process_iter() if _in_session(process, leader)]


def _in_session(process: psutil.Process, leader: int) -> bool:
    try:
        return os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def test_a_process_of_an_earlier_boot_is_gone_whoever_has_its_pid_and_start_time(
    tmp_path: Path,
) -> None:
    other = spawn(tmp_path, SLEEP)
    wait_for(lambda: up(tmp_path), "start")
    before = ProcessId(pid=other.pid, started=other.started, boot="of an earlier boot")
    assert before.before_restart
    assert not other.before_restart
    assert not alive(before)
    terminate_group(before, 0)
    terminate_session(before)
    assert alive(other)
    terminate_group(other, 0)
    assert not alive(other)
