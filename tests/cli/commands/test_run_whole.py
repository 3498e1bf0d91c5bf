"""`whippet run` when it is interrupted, killed or fails: what stops, what goes on, what is said."""

from __future__ import annotations

import errno
import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from platforms import Settings
from platforms.files import read_json
from sm_entrypoints.contract import SEARCH_METRICS
from tests.conftest import AWKWARD
from tests.worlds.pipeline import ENDLESS, PACKED, TINY, Ended, Whippet, ended, tiny_data
from tests.worlds.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.job]


@pytest.fixture(scope="module")
def api_url(prefect_server) -> str:
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value())


@contextmanager
def fresh_home(folder: Path, api_url: str) -> Iterator[Whippet]:
    found = Whippet(home=folder / AWKWARD / "home", api_url=api_url)
    tiny_data(data_of(found))
    try:
        yield found
    finally:
        found.shut_down()
        wait_for(lambda: not found.processes(), "end of every process")


@pytest.fixture
def whippet(api_url, tmp_path) -> Iterator[Whippet]:
    with fresh_home(tmp_path, api_url) as found:
        yield found


def data_of(whippet: Whippet) -> Path:
    return whippet.home.parent / "photos é"


def job_python_of(whippet: Whippet) -> Path:
    return whippet.home.parent / "job python"


def new_run(whippet: Whippet, name: str, *options: str) -> tuple[str, ...]:
    return ("run", "--name", name, "--data", str(data_of(whippet)), *TINY, *options)


def in_progress(whippet: Whippet, ending: str) -> str | None:
    """Return the job in progress whose name ends so."""
    jobs = {**whippet.jobs(), **whippet.tuning_jobs()}
    names = [n for n, status in jobs.items() if status == "InProgress" and n.endswith(ending)]
    return names[0] if names else None


def in_training(whippet: Whippet, ending: str) -> str | None:
    """Return the training job of that ending once its program runs."""
    name = in_progress(whippet, ending)
    if name is None:
        return None
    found = whippet.platform.sagemaker.describe_training_job(TrainingJobName=name)
    return name if found["SecondaryStatus"] == "Training" else None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_stops_its_jobs_and_says_how_to_go_on(whippet, number):
    process = whippet.start(*new_run(whippet, "my run é", *ENDLESS))
    tuning = wait_for(lambda: in_progress(whippet, "-tune"), "tuning job")
    trial = wait_for(lambda: next(iter(whippet.jobs()), None), "trial")
    # As a terminal does: to the whole group of the command, which the jobs are not in.
    os.killpg(process.pid, number)
    found = ended(process)
    assert found.code == 130, found.err
    assert "Traceback" not in found.err
    assert f"stopped {tuning}" in found.err
    assert "whippet run --resume 'my run é'" in found.err or "--resume my-run-e" in found.err
    wait_for(lambda: whippet.tuning_jobs() == {tuning: "Stopped"}, "stop of the search")
    assert whippet.jobs() == {trial: "Stopped"}
    wait_for(lambda: not whippet.processes(), "end of every process")
    assert whippet.record("latest")["status"] == "cancelled"


def test_a_search_that_is_cancelled_in_the_ui_stops_its_jobs_and_says_how_to_go_on(whippet):
    process = whippet.start(*new_run(whippet, "unwanted", *ENDLESS))
    tuning = wait_for(lambda: in_progress(whippet, "-tune"), "tuning job")
    flow_run = f"{whippet.api_url}/flow_runs/{whippet.record('unwanted')['flow_run_id']}"
    asked = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    httpx.post(f"{flow_run}/set_state", json=asked).raise_for_status()
    found = ended(process)
    assert found.code == 1, found.err
    assert "Traceback" not in found.err
    assert "run 'unwanted' was cancelled, and its jobs were stopped" in found.err
    assert "whippet run --resume unwanted" in found.err
    wait_for(lambda: whippet.tuning_jobs()[tuning] == "Stopped", "stop of the search")
    wait_for(lambda: not whippet.processes(), "end of every process")
    assert whippet.record("unwanted")["status"] == "cancelled"
    assert httpx.get(flow_run).json()["state_type"] == "CANCELLED"


def test_a_packed_search_survives_its_watcher_and_is_adopted_once(whippet):
    options = ("--data", str(data_of(whippet)), *PACKED, "--max-jobs", "200", "--max-epochs", "60")
    killed = whippet.start("run", "--name", "packed", *options)
    search = wait_for(lambda: in_progress(whippet, "-tune"), "packed search")
    assert whippet.tuning_jobs() == {}, "it is a training job"
    os.killpg(killed.pid, signal.SIGKILL)
    assert ended(killed).code == -signal.SIGKILL
    assert in_progress(whippet, "-tune") == search, "the search goes on without its watcher"

    resumed = whippet.start("run", "--resume", "packed")
    wait_for(lambda: "best" in whippet.record("packed"), "best trial")
    wait_for(lambda: in_progress(whippet, "-train"), "training job")
    os.killpg(resumed.pid, signal.SIGINT)
    found = ended(resumed)
    assert found.code == 130, found.err
    assert [name for name in whippet.jobs() if "-tune" in name] == [search]
    assert whippet.jobs()[search] == "Completed"
    record = whippet.record("packed")
    assert record["jobs"]["tuning"] == record["best"]["tuning_job"] == search
    assert record["search"]["strategy"] == "packed"
    assert len((whippet.home / "runs/packed/trials.csv").read_text().splitlines()) == 1 + 200


def trials_done(whippet: Whippet, job: str) -> int:
    found = whippet.platform.sagemaker.describe_training_job(TrainingJobName=job)
    metrics = {each["MetricName"]: each["Value"] for each in found.get("FinalMetricDataList", [])}
    return int(metrics.get(SEARCH_METRICS[0], 0))


def test_a_packed_search_that_was_stopped_takes_over_its_trials_when_the_run_goes_on(whippet):
    options = ("--data", str(data_of(whippet)), *PACKED, "--max-jobs", "200", "--max-epochs", "300")
    stopped = whippet.start("run", "--name", "packed", *options)
    search = wait_for(lambda: in_progress(whippet, "-tune"), "packed search")
    done = wait_for(lambda: trials_done(whippet, search), "the first generation")
    os.killpg(stopped.pid, signal.SIGINT)
    assert ended(stopped).code == 130
    wait_for(lambda: whippet.jobs() == {search: "Stopped"}, "stop of the search")

    resumed = whippet.start("run", "--resume", "packed")
    wait_for(lambda: "best" in whippet.record("packed"), "best trial")
    wait_for(lambda: in_progress(whippet, "-train"), "training job")
    os.killpg(resumed.pid, signal.SIGINT)
    assert ended(resumed).code == 130
    assert whippet.jobs()[f"{search}-2"] == "Completed"
    found = read_json(whippet.home / "runs/packed/search/search.json")
    assert done <= found["resumed_trials"] < 200
    assert found["features"]["computed"] == 0
    assert len((whippet.home / "runs/packed/trials.csv").read_text().splitlines()) == 1 + 200
    progress = list(whippet.home.glob("s3/*/whippet/features/*/search-*"))
    assert not [file for folder in progress for file in folder.iterdir()], "it was used"


# An environment that works for trials and breaks for the job that follows them. The attempts after
# that wait for a last line of this file, which is all of ours that a job sees: however fast they
# would be, each is met at work.
BREAKS_LATER = """#!/bin/sh
case "$TRAINING_JOB_NAME" in
  *-train) echo "no space left on this machine" >&2; exit 3;;
  *-train-[0-9]) until grep -q "^#go" "$0"; do sleep 0.1; done;;
esac
exec {python} "$@"
"""


def let_go_on(python: Path) -> bool:
    """Write the line that is waited for; False while a process is about to execute the file."""
    try:
        with python.open("a") as file:
            file.write("#go\n")
    except OSError as error:
        if error.errno != errno.ETXTBSY:
            raise
        return False
    return True


@pytest.fixture(scope="module")
def failed(api_url, tmp_path_factory) -> Iterator[tuple[Whippet, Ended]]:
    """A run whose search completed and whose training job failed."""
    with fresh_home(tmp_path_factory.mktemp("failed"), api_url) as whippet:
        python = job_python_of(whippet)
        python.write_text(BREAKS_LATER.format(python=shlex.quote(str(Settings().job_python))))
        python.chmod(0o755)
        broken = replace(whippet, extra={"WHIPPET_JOB_PYTHON": str(python)})
        options = ("--max-epochs", "1", "--epochs", "2", "--set", "patience=0")
        yield broken, broken.run(*new_run(whippet, "demo", *options))


def test_a_failed_job_is_one_sentence_with_its_reason_and_its_log(failed):
    whippet, found = failed
    name = whippet.record("demo")["jobs"]["training"]
    assert found.code == 1
    assert found.out == ""
    assert "Traceback" not in found.err
    _, _, sentence = found.err.partition("whippet: error: ")
    assert sentence.startswith(f"training job '{name}' ended Failed: AlgorithmError")
    assert "no space left on this machine" in sentence
    # Prefect may still say that it sends its last lines to the server.
    assert f"See its log with `whippet logs {name}`\n" in sentence
    record = whippet.record("latest")
    assert record["status"] == "failed"
    assert record["error"]
    assert name in record["error"]
    assert list(record["seconds"]) == ["plan", "sync", "tune", "best", "train"]
    assert "no space left" in whippet.run("logs", name).out
    assert "endpoint" not in record


def test_resumed_it_can_be_interrupted_and_killed_and_pays_for_nothing_twice(failed):
    whippet, _ = failed
    resume = ("run", "--resume", "demo")
    before, search = whippet.jobs(), whippet.tuning_jobs()
    first = whippet.start(*resume)
    second_job = wait_for(lambda: in_training(whippet, "-train-2"), "second attempt")
    os.killpg(first.pid, signal.SIGINT)
    found = ended(first)
    assert found.code == 130, found.err
    assert f"stopped {second_job}" in found.err
    assert found.err.count("whippet run --resume demo") == 1
    wait_for(lambda: whippet.jobs() == {**before, second_job: "Stopped"}, "stop of the job")
    wait_for(lambda: not whippet.processes(), "end of every process")

    killed = whippet.start(*resume)
    third_job = wait_for(lambda: in_training(whippet, "-train-3"), "third attempt")
    os.killpg(killed.pid, signal.SIGKILL)
    assert ended(killed).code == -signal.SIGKILL
    assert in_progress(whippet, "-train-3"), "the job goes on without its watcher"

    wait_for(lambda: let_go_on(job_python_of(whippet)), "moment at which nobody executes it")
    found = whippet.run(*resume)
    assert found.code == 0, found.err
    assert whippet.tuning_jobs() == search
    assert whippet.jobs() == {**before, second_job: "Stopped", third_job: "Completed"}
    record = whippet.record("latest")
    assert record["status"] == "completed"
    assert record["training"]["job"] == third_job
    assert record["job"]["epochs_run"] == 2
