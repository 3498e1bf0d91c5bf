"""Warm starts are used only where they may be, and no job suffers when one of their processes ends.

The packages of these jobs import at once: see ``environment.py``.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from platforms.local.connection import connect_local
from platforms.local.warm_start import client
from platforms.local.warm_start.inner.whippet_warm_messages import receive, send
from platforms.settings import Settings
from tests.platforms.local.warm_start.environment import make_environment, torch_of
from tests.worlds.local.jobs import Jobs
from tests.worlds.local.searches import tuning_request
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow

WARM = "import sys; print('warm' if 'torch' in sys.modules else 'cold')"
SLOW = f"{WARM}\nimport time; print('begun'); time.sleep(30)"
STOPPABLE = f"""{WARM}
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("saved"), sys.exit(0)))
print("begun")
time.sleep(30)
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below /tmp, which jobs have one of their own of."""
    made = Path(tempfile.mkdtemp(dir="/var/tmp"))
    yield made
    for home in made.glob("home*"):
        client.end_all(home)
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def python(folder: Path) -> Path:
    return make_environment(folder / "environment")


@pytest.fixture(scope="module")
def connect(folder: Path, python: Path) -> Callable[..., Jobs]:
    def connect(warm_start: Any = "all", home: str = "home", **changes: Any) -> Jobs:
        given = {"home": folder / home, "job_python": python, "warm_start": warm_start}
        return Jobs(platform=connect_local(Settings(**{**given, **changes})))

    return connect


@pytest.fixture
def jobs(connect: Callable[..., Jobs]) -> Iterator[Jobs]:
    """Jobs that start from a copy which another has left."""
    jobs = connect()
    if not copies(jobs):
        assert started(jobs, f"first-{time.monotonic_ns()}") == "warm"
    wait_for_copies(jobs, 1)
    yield jobs
    if len(copies(jobs)) > 1:  # one of another kind
        client.end_all(jobs.platform.settings.home)
        wait_for(lambda: not copies(jobs), "end of the copies")


def wait_for_copies(jobs: Jobs, number: int) -> None:
    """Wait until so many wait in the home: one in the midst of its start is not told yet."""
    wait_for(lambda: len(copies(jobs)) == number, lambda: f"{number} instead of {copies(jobs)}")


def started(jobs: Jobs, name: str, script: str = WARM, **changes: Any) -> str:
    ended = jobs.run(name, script, **changes)
    assert ended["TrainingJobStatus"] == "Completed", jobs.log(name)
    return lines(jobs, name)[0]


def lines(jobs: Jobs, name: str) -> list[str]:
    """Return what the script itself has printed."""
    said = jobs.log(name).splitlines()
    return [line for line in said if not line.startswith("[whippet]")]


def copies(jobs: Jobs) -> list[psutil.Process]:
    """Return the processes that wait in a home; tells nothing of those in the midst of a start."""
    home = str(jobs.platform.settings.home)
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if line[:1] == ["whippet-warm-start"] and line[1].startswith(home + os.sep):
            found.append(process)
    return found


def supervisor_of(jobs: Jobs, name: str) -> psutil.Process:
    record = jobs.context.records.read("training-jobs", name)
    return psutil.Process(record["Local"]["Supervisor"]["Pid"])


def test_a_job_outlives_the_copy_that_it_came_from(jobs):
    (copy,) = copies(jobs)
    jobs.start("outlives", f"{WARM}\nimport time; print('begun'); time.sleep(1); print('end')")
    jobs.wait_for_line("outlives", "begun")
    copy.kill()
    assert jobs.wait("outlives")["TrainingJobStatus"] == "Completed"
    assert lines(jobs, "outlives") == ["warm", "begun", "end"]
    # Its socket is still there; the next job leaves another copy.
    assert started(jobs, "next") == "warm"
    assert copies(jobs) != [copy]


def test_a_killed_supervisor_fails_the_job_and_nothing_stays(jobs):
    jobs.start("orphan", SLOW)
    jobs.wait_for_line("orphan", "begun")
    supervisor = supervisor_of(jobs, "orphan")
    children = supervisor.children(recursive=True)
    assert len(children) == 3
    assert {os.getsid(each.pid) for each in children[:1]} == {supervisor.pid}
    supervisor.kill()
    job = jobs.wait("orphan")
    assert job["TrainingJobStatus"] == "Failed"
    assert "supervisor" in job["FailureReason"]
    wait_for(
        lambda: not any(each.is_running() and each.status() != "zombie" for each in children),
        "end of the children",
    )
    wait_for_copies(jobs, 1)


@pytest.mark.parametrize("which", [0, 2])
def test_a_killed_process_of_a_job_fails_it(jobs, connect, which):
    reasons = []
    for kind, each in (("warm", jobs), ("cold", connect("off"))):
        name = f"killed-{which}-{kind}"
        each.start(name, SLOW)
        each.wait_for_line(name, "begun")
        supervisor_of(each, name).children(recursive=True)[which].kill()
        job = each.wait(name)
        reasons.append([job["TrainingJobStatus"], job["FailureReason"].replace("warm", "cold")])
    assert reasons[0] == reasons[1]
    assert reasons[0][0] == "Failed"
    assert "137" in reasons[0][1]


def test_a_stop_reaches_the_script(jobs):
    jobs.start("stopped", STOPPABLE)
    jobs.wait_for_line("stopped", "begun")
    jobs.platform.sagemaker.stop_training_job(TrainingJobName="stopped")
    assert jobs.wait("stopped")["TrainingJobStatus"] == "Stopped"
    assert lines(jobs, "stopped") == ["warm", "begun", "saved"]


def test_many_at_once_leave_one_copy(connect):
    jobs = connect(home="home-of-a-race")
    names = [f"race-{number}" for number in range(4)]
    for name in names:
        jobs.start(name, WARM)
    assert {jobs.wait(name)["TrainingJobStatus"] for name in names} == {"Completed"}
    assert {tuple(lines(jobs, name)) for name in names} == {("warm",)}
    wait_for_copies(jobs, 1)


def test_a_changed_package_is_imported_anew(jobs, python):
    (old,) = copies(jobs)
    with torch_of(python).open("a", encoding="utf-8") as file:
        file.write("\nNEW = 'the new one'\n")
    assert started(jobs, "upgraded", "import torch; print(torch.NEW)") == "the new one"
    assert wait_for(lambda: copies(jobs), "copy") != [old]


def test_a_package_that_changes_while_a_job_waits_is_imported_anew(jobs, python, monkeypatch):
    """The supervisor has its child already; what it becomes is decided when it begins."""
    script = f"import torch; print(getattr(torch, 'NEW', 'old')); {WARM}"

    def begin(*arguments: Any, **options: Any) -> int | None:
        pid = client.begin_supervisor(*arguments, **options)
        assert pid is not None
        with torch_of(python).open("a", encoding="utf-8") as file:
            file.write("\nNEW = 'newer'\n")
        return pid

    monkeypatch.setattr("platforms.local.supervision.begin_supervisor", begin)
    assert started(jobs, "upgraded-late", script) == "newer"


def test_a_copy_may_wait_before_there_is_a_job(connect):
    jobs = connect(home="home-ahead")
    jobs.platform.expect_jobs()
    (copy,) = wait_for(lambda: copies(jobs), "copy")
    jobs.platform.expect_jobs()  # changes nothing: one waits
    assert started(jobs, "first", f"{WARM}; import os; print(os.environ['MASTER_ADDR'])") == "warm"
    assert copies(jobs) == [copy]
    assert (jobs.folder("first") / "supervisor.txt").read_text("utf-8") == ""
    assert {each.name for each in Path(copy.cmdline()[1]).iterdir()} == {"lock", "socket"}


def test_nothing_waits_where_jobs_start_cold(connect):
    jobs = connect("off", home="home-ahead-of-none")
    jobs.platform.expect_jobs()
    assert not (jobs.platform.settings.home / "warm").exists()
    jobs = connect(job_python=Path("/no/such/python"), home="home-ahead-of-none")
    jobs.platform.expect_jobs()  # the job will say so
    assert copies(jobs) == []


def test_homes_have_copies_of_their_own(jobs, connect):
    other = connect(home="home-2")
    assert started(other, "first") == "warm"
    wait_for_copies(jobs, 1)
    wait_for_copies(other, 1)
    assert jobs.platform.shut_down() == []
    wait_for(lambda: not copies(jobs), "end of the copies")
    assert len(copies(other)) == 1
    shutil.rmtree(other.platform.settings.home)
    wait_for(lambda: not copies(other), "end of the copies")


def test_others_start_cold(jobs, connect):
    assert started(connect("off"), "off") == "cold"
    assert started(connect("ours"), "of-a-stranger") == "cold"
    assert started(connect(job_memory="4G"), "limited") == "cold"
    archive = jobs.upload(WARM, **{"sm_entrypoints/numpy.py": "print('mine')"})
    hides = {"sagemaker_submit_directory": archive}
    assert started(jobs, "hides", HyperParameters=hides) == "cold"


def test_a_program_that_becomes_python_runs_for_each_job(connect, folder, python):
    program = folder / "job python"
    program.write_text(f'#!/bin/sh\nexport GREETING=hello\nexec {python} "$@"\n')
    program.chmod(0o755)
    jobs = connect(job_python=program)
    script = f"{WARM}; import os; print(os.environ['GREETING'])"
    assert started(jobs, "program", script) == "cold"
    assert lines(jobs, "program") == ["cold", "hello"]


def test_what_python_reads_when_it_starts_makes_another_kind(jobs):
    environment = {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    script = f"{WARM}; import os; print(hash('a'), sys.flags.hash_randomization)"
    assert started(jobs, "one", script, Environment=environment) == "warm"
    assert started(jobs, "two", script, Environment=environment) == "warm"
    assert jobs.log("one") == jobs.log("two")
    wait_for_copies(jobs, 2)


@pytest.mark.parametrize(("setting", "kind"), [("all", "warm"), ("off", "cold")])
def test_trials_of_a_tuning_job_start_as_the_user_said(jobs, connect, setting, kind):
    archive = jobs.upload(WARM + """\nprint('"valid:loss": 0.5')""")
    request = tuning_request(f"tune-{kind}", jobs=2, parallel=1)
    definition = request["TrainingJobDefinition"]
    definition["StaticHyperParameters"] |= {"sagemaker_submit_directory": archive}
    those = connect(setting)
    sagemaker = those.platform.sagemaker
    sagemaker.create_hyper_parameter_tuning_job(**request)
    name = {"HyperParameterTuningJobName": f"tune-{kind}"}
    wait_for(
        lambda: (
            sagemaker.describe_hyper_parameter_tuning_job(**name)["HyperParameterTuningJobStatus"]
            == "Completed"
        ),
        "end of the search",
    )
    trials = sagemaker.list_training_jobs(NameContains=f"tune-{kind}")["TrainingJobSummaries"]
    assert len(trials) == 2
    assert {lines(those, trial["TrainingJobName"])[0] for trial in trials} == {kind}


def test_programs_of_other_names_start_from_the_same_copy(jobs):
    archive = jobs.upload(
        "", **{"other/tool.py": f"{WARM}; print(__file__, sys.path[0], sys.argv)"}
    )
    named = {"sagemaker_submit_directory": archive, "sagemaker_program": "other/tool.py"}
    assert started(jobs, "other-name", HyperParameters={**named, "k": "v"}) == "warm"
    shown = "/opt/ml/code/other/tool.py /opt/ml/code/other ['other/tool.py', '-k', 'v']"
    assert lines(jobs, "other-name")[1] == shown
    wait_for_copies(jobs, 1)


def test_who_inherits_something_else_starts_elsewhere(jobs):
    before = os.umask(0o027)
    try:
        assert started(jobs, "umask", f"{WARM}; import os; print(os.umask(0))") == "warm"
    finally:
        os.umask(before)
    assert lines(jobs, "umask") == ["warm", str(0o027)]
    wait_for_copies(jobs, 2)


def test_a_client_that_gives_up_has_started_nothing(jobs, folder):
    (copy,) = copies(jobs)
    place = Path(copy.cmdline()[1])
    marker = folder / "marker"
    ours, theirs = socket.socketpair()
    request = {"argv": ["/bin/sh", "-c", f"touch {marker}"], "env": {}, "cwd": "/"}
    with ours, theirs, client._connected(place) as channel, (folder / "log").open("ab") as log:
        send(channel, request, [theirs.fileno(), log.fileno()])
        pid = receive(ours)[0]["pid"]
    wait_for(lambda: not psutil.pid_exists(pid), "end of the process")
    assert not marker.exists()
    assert copy.is_running()


def test_a_copy_that_hangs_delays_but_does_not_matter(jobs):
    (copy,) = copies(jobs)
    copy.send_signal(signal.SIGSTOP)
    try:
        assert started(jobs, "patient") == "warm"
    finally:
        copy.send_signal(signal.SIGCONT)
    assert started(jobs, "after") == "warm"


def test_an_environment_without_torch_is_not_asked_twice(connect, folder):
    python = make_environment(folder / "without-torch")
    shutil.rmtree(torch_of(python).parent)
    jobs = connect(job_python=python, home="home-without-torch")
    assert [started(jobs, name) for name in ("one", "two")] == ["cold", "cold"]
    said = [(jobs.folder(name) / "supervisor.txt").read_text("utf-8") for name in ("one", "two")]
    assert said == ["no warm start: the job environment lacks torch\n", ""]
