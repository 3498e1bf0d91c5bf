from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import psutil
import pytest

from platforms.processes.alone import Surroundings, alone, run_alone
from tests.worlds.waiting import wait_for

HERE = Surroundings(environment={"PATH": "/usr/bin:/bin"})
# Starts a child that outlives it, and says which one it is.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen(["sleep", "300"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(float(sys.argv[1]))
"""


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


def wait_until_gone(pid: int) -> None:
    def gone() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    wait_for(gone, f"end of process {pid}")


def test_what_a_program_printed_and_how_it_ended():
    finished = run_alone(
        python("import sys; print('é'); sys.exit('one\\ntwo \\n')"), HERE, seconds=60
    )
    assert (finished.status, finished.stdout, finished.problem) == (1, "é\n", "two")
    silent = run_alone(["sh", "-c", "exit 3"], HERE, seconds=60)
    assert (silent.status, silent.problem) == (3, "sh ended with exit code 3")


def test_it_sees_its_own_environment_and_folder_and_reads_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    surroundings = Surroundings(environment={"ONLY": "this"}, cwd=tmp_path)
    program = "import os, sys; print(sorted(os.environ), os.getcwd(), repr(sys.stdin.read()))"
    seen = run_alone(python(program), surroundings, seconds=60).stdout
    assert "'ONLY'" in seen
    assert "AWS" not in seen
    assert seen.endswith(f"{tmp_path} ''\n")


def test_a_child_of_a_program_that_ended_is_killed():
    finished = run_alone(python(PARENT, "0"), HERE, seconds=60)
    assert finished.status == 0
    wait_until_gone(int(finished.stdout))


def test_a_program_that_nobody_waits_for_any_more_is_ended(tmp_path):
    begun, stop = tmp_path / "begun", Event()

    def stop_it() -> None:
        wait_for(lambda: begun.exists() and begun.read_text(), "the program")
        stop.set()

    program = (
        "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); "
        "time.sleep(300)"
    )
    with ThreadPoolExecutor(1) as beside:
        beside.submit(stop_it)
        with pytest.raises(subprocess.TimeoutExpired):
            run_alone(python(program, str(begun)), HERE, seconds=600, stop=stop)
    wait_until_gone(int(begun.read_text()))
    quick = run_alone(python("print(1)"), HERE, seconds=60, stop=Event())
    assert (quick.status, quick.stdout) == (0, "1\n")


def test_a_child_of_a_supervisor_ends_with_the_supervisors_group():
    program = "import os; print(os.getsid(0), os.getpgid(0))"
    ours = Surroundings(environment=HERE.environment, own_session=False)
    own, shared = (run_alone(python(program), each, seconds=60).stdout for each in (HERE, ours))
    assert shared.split() == [str(os.getsid(0)), str(os.getpgid(0))]
    assert not set(own.split()) & set(shared.split())


@pytest.mark.slow
@pytest.mark.parametrize("own_session", [True, False])
def test_one_that_takes_too_long_is_killed_with_its_children(own_session):
    surroundings = Surroundings(environment=HERE.environment, own_session=own_session)
    with pytest.raises(subprocess.TimeoutExpired) as error:
        run_alone(python(PARENT, "300"), surroundings, seconds=2)
    wait_until_gone(int(error.value.stdout or b"0"))


def test_one_that_is_left_running_ends_with_the_block_and_may_say_goodbye(tmp_path: Path):
    said = tmp_path / "said"
    program = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    sys.exit(open({str(said)!r}, 'w').write('bye'))\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True)\ntime.sleep(300)\n"
    )
    with alone(python(program), HERE, grace_seconds=30) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    assert said.read_text() == "bye"
    assert process.returncode == 3  # the characters that it wrote


def test_one_that_cannot_be_started(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        run_alone([str(tmp_path / "absent")], HERE, seconds=60)
