"""A job that starts warm sees, does and ends exactly as one that starts cold."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from platforms.local.connection import connect_local
from platforms.local.warm_start.client import end_all
from platforms.local.warm_start.imports import MODULES
from platforms.settings import PROJECT_ROOT, Settings
from tests.worlds.local.jobs import Jobs

pytestmark = [pytest.mark.job, pytest.mark.slow]

JOB_PYTHON = PROJECT_ROOT / ".venv-job" / "bin" / "python"
SEEN = Path(__file__).with_name("seen.py").read_text(encoding="utf-8")
NAMES = {"warm": "the-one-job", "cold": "the-other-j"}


def connected(home: Path, warm_start: Any, **changes: Any) -> Jobs:
    settings = Settings(home=home, job_python=JOB_PYTHON, warm_start=warm_start, **changes)
    return Jobs(platform=connect_local(settings))


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    yield folder
    end_all(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def warm(home: Path) -> Jobs:
    """Jobs that start warm: one has started the process that they are forked from."""
    jobs = connected(home, "all")
    first = jobs.run("the-first", "print('first')")
    assert first["TrainingJobStatus"] == "Completed", first
    assert list((home / "warm").glob("*/socket")), jobs.log("the-first")
    return jobs


@pytest.fixture(scope="module")
def cold(home: Path) -> Jobs:
    return connected(home, "off")


def started_warm(jobs: Jobs, name: str) -> bool:
    text = (jobs.folder(name) / "supervisor.txt").read_text(encoding="utf-8")
    assert text == "", text
    return True


def seen(jobs: Jobs, name: str, **changes: Any) -> dict[str, Any]:
    """Return what a script sees; what is drawn for each job is replaced."""
    parameters = {"epochs": "3", "text": '"a b"', "modules": json.dumps(MODULES)}
    job = jobs.run(name, SEEN, HyperParameters=parameters, **changes)
    log = jobs.log(name)
    assert job["TrainingJobStatus"] == "Completed", log
    line = next(line for line in log.splitlines() if line.startswith("SEEN "))
    text = re.sub(r"code/[0-9]+\.tar", "code/N.tar", line.removeprefix("SEEN "))
    text = re.sub(r'(MASTER_PORT(=|": "))[0-9]+', r"\1N", text.replace(name, "NAME"))
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture(scope="module")
def both(warm: Jobs, cold: Jobs) -> tuple[dict[str, Any], dict[str, Any]]:
    sights = seen(warm, NAMES["warm"]), seen(cold, NAMES["cold"])
    assert started_warm(warm, NAMES["warm"])
    return sights


def test_a_script_sees_the_same(both):
    first, second = (each["same"] for each in both)
    differences = {key: (first[key], second[key]) for key in first if first[key] != second[key]}
    modules = [set(each["modules"]) for each in (first, second)]
    assert modules[0] == modules[1], modules[0] ^ modules[1]
    assert not differences, json.dumps(differences, indent=1)
    assert len(first) > 50
    assert first["environ"]["SM_HP_EPOCHS"] == "3"
    assert first["argv"][:3] == ["sm_entrypoints/train.py", "--epochs", "3"]
    assert first["command"] == ["\0".join([*first["orig_argv"], ""])]
    assert [Path(each).name for each in first["stack"]][-1] == "train.py"
    assert not [name for name in first["modules"] if name.startswith("whippet")]


def hook(jobs: Jobs) -> dict[str, Any]:
    return {"DebugHookConfig": {"S3OutputPath": f"s3://{jobs.platform.defaults.bucket}/tensors"}}


def test_a_script_that_debugger_watches_sees_the_same(warm, cold):
    name = {"warm": "watched-job", "cold": "the-other-w"}
    first, second = (
        seen(jobs, name[kind], **hook(jobs))["same"]
        for kind, jobs in (("warm", warm), ("cold", cold))
    )
    assert started_warm(warm, name["warm"])
    assert "whippet_registration" in first["modules"]
    # The registration's own filter is put before those of all imports, not amid them.
    for each in (first, second):
        each["filters"] = sorted(each["filters"])
    differences = {key: (first[key], second[key]) for key in first if first[key] != second[key]}
    assert not differences, json.dumps(differences, indent=1)


LEARNS = """
import os
import torch

model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
criterion = torch.nn.CrossEntropyLoss()
for _ in range(3):
    optimizer.zero_grad()
    criterion(model(torch.ones(4, 3)), torch.zeros(4, dtype=torch.int64)).backward()
    optimizer.step()
found = [each for _, _, files in os.walk("/opt/ml/output/tensors") for each in files]
print("FILES", sorted(each.rpartition("_")[0] for each in found))
"""


def test_debugger_finds_the_model_of_a_script_that_starts_warm(warm, cold):
    printed = []
    for kind, jobs in (("warm", warm), ("cold", cold)):
        ended = jobs.run(f"learns-{kind}", LEARNS, **hook(jobs))
        assert ended["TrainingJobStatus"] == "Completed", jobs.log(f"learns-{kind}")
        lines = jobs.log(f"learns-{kind}").splitlines()
        printed.append([line for line in lines if line.startswith("FILES")])
    assert started_warm(warm, "learns-warm")
    assert printed[0] == printed[1]
    assert len(printed[0][0]) > len("FILES []")


def test_what_is_random_is_drawn_anew(warm, both):
    again = seen(warm, "another-one")["different"]
    for key, values in again.items():
        assert values != both[0]["different"][key], key


ENDINGS = {
    "fine": "print('out'); import sys; print('err', file=sys.stderr); print('more')",
    "three": "import sys; print('x'); sys.exit(3)",
    "text": "import sys; sys.exit('a text')",
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise OSError('x') from e",
    "interrupted": "raise KeyboardInterrupt",
    "term": "import os, signal; os.kill(os.getpid(), signal.SIGTERM); signal.pause()",
    "kill": "import os, signal; os.kill(os.getpid(), signal.SIGKILL); signal.pause()",
    "leaves": "import os, time\nif os.fork():\n    os._exit(4)\ntime.sleep(30); print('never')",
    "spawn": (
        "import multiprocessing as m, os\ndef f(): print('child', __name__)\n"
        "if __name__ == '__main__':\n"
        "    p = m.get_context('spawn').Process(target=f); p.start(); p.join(); print(p.exitcode)"
    ),
}


@pytest.fixture(scope="module")
def endings(warm: Jobs, cold: Jobs) -> dict[str, list[Any]]:
    """Run each script both ways; all cold ones at once, for none of them imports much."""
    for kind, jobs in (("warm", warm), ("cold", cold)):
        for name, script in ENDINGS.items():
            jobs.start(f"{name}-{kind}", script)
    found: dict[str, list[Any]] = {}
    for kind, jobs in (("warm", warm), ("cold", cold)):
        for name in ENDINGS:
            ended = jobs.wait(f"{name}-{kind}")
            lines = [each for each in jobs.log(f"{name}-{kind}").splitlines()]
            result = [ended["TrainingJobStatus"], ended.get("FailureReason"), lines]
            found.setdefault(name, []).append(result)
            if kind == "warm":
                assert started_warm(jobs, f"{name}-{kind}")
    return found


@pytest.mark.parametrize("name", ENDINGS)
def test_a_script_ends_the_same(endings, name):
    first, second = endings[name]
    assert first == second
    assert (first[0] == "Completed") == (name in ("fine", "spawn"))
