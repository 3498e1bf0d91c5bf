"""Jobs, logs and endpoints of a real home, through the command."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from cli.commands.clean_up import confirmed
from cli.main import main
from platforms import Settings
from platforms.client_errors import client_error
from platforms.local.hosting.endpoints import Endpoints
from platforms.local.hosting.models import EndpointConfigs, Models
from platforms.local.tags import Tags
from tasks.requests.logs import log_lines
from tasks.requests.tags import EXPIRES_TAG, RUN_TAG
from tasks.runs.record import open_run, record
from tasks.runs.record_model import RunFacts
from tests.worlds.local.jobs import Jobs, local_jobs
from tests.worlds.local.serving import make_config, serving_context, wait_for_endpoint
from tests.worlds.run_records import deployed

pytestmark = pytest.mark.slow

SPEAKS = """
import sys, time
for number in range(int(sys.argv[-1])):
    print("line", number, flush=True)
    time.sleep(0.3)
"""
FAILS = """
import sys
print("on my way", flush=True)
sys.exit("no such låyer")
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> Jobs:
    """A home with a completed and a failed job."""
    found = local_jobs(tmp_path_factory.mktemp("jobs") / "the home's é")
    found.start("first", SPEAKS, HyperParameters={"n": "2"})
    found.start("second", FAILS)
    assert found.wait("first")["TrainingJobStatus"] == "Completed"
    assert found.wait("second")["TrainingJobStatus"] == "Failed"
    return found


@pytest.fixture
def whippet(jobs, monkeypatch, capsys):
    """Run a command on that home; return exit code, output and error."""
    monkeypatch.setenv("WHIPPET_HOME", str(jobs.platform.settings.home))
    monkeypatch.setenv("WHIPPET_JOB_PYTHON", str(jobs.platform.settings.job_python))

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_jobs_newest_first(whippet):
    code, out, err = whippet("jobs")
    assert (code, err) == (0, "")
    head, *rows = [line.split() for line in out.splitlines()]
    assert head == ["kind", "name", "status", "created", "seconds"]
    assert [row[:3] for row in rows] == [
        ["training", "second", "Failed"],
        ["training", "first", "Completed"],
    ]
    assert all(0 <= int(row[-1]) < 60 for row in rows)


def test_jobs_of_a_status(whippet):
    _, out, _ = whippet("jobs", "--status", "Failed")
    assert [line.split()[1] for line in out.splitlines()] == ["name", "second"]
    assert whippet("jobs", "--status", "InProgress") == (0, "no jobs\n", "")


def test_jobs_of_a_status_that_there_is_not(whippet, capsys):
    with pytest.raises(SystemExit) as ended:
        whippet("jobs", "--status", "Running")
    assert ended.value.code == 2
    assert "invalid choice: 'Running' (choose from 'InProgress'," in capsys.readouterr().err


def test_logs(whippet):
    code, out, err = whippet("logs", "second")
    assert (code, err) == (0, "")
    assert "on my way" in out
    assert "no such låyer" in out


def test_following_a_job_gives_every_line_once_and_ends_with_it(whippet, jobs):
    jobs.start("third", SPEAKS, HyperParameters={"n": "6"})
    jobs.wait_for_line("third", "line 0")
    _, now, _ = whippet("logs", "third")
    assert "line 5" not in now, "without -f nothing is waited for"
    code, out, _ = whippet("logs", "third", "--follow")
    assert code == 0
    said = [line for line in out.splitlines() if line.startswith("line ")]
    assert said == [f"line {number}" for number in range(6)]
    assert jobs.describe("third")["TrainingJobStatus"] == "Completed"


class NoGroup:
    """An account's logs before its first job said anything."""

    def filter_log_events(self, **_: object) -> dict[str, object]:
        raise client_error("FilterLogEvents", "ResourceNotFoundException", "no such log group")


class Throttled:
    def filter_log_events(self, **_: object) -> dict[str, object]:
        raise client_error("FilterLogEvents", "ThrottlingException", "Rate exceeded")


def test_no_log_group_means_no_lines_yet(jobs):
    platform = replace(jobs.platform, logs=NoGroup())
    assert list(log_lines(platform, "first", follow=True)) == []
    with pytest.raises(ClientError, match="Rate exceeded"):
        list(log_lines(replace(platform, logs=Throttled()), "first", follow=False))


ANSWER = json.dumps({"predictions": [{"label": "châ", "probability": 0.75}]})


@pytest.fixture
def context(tmp_path, monkeypatch):
    """A home with three endpoints: one whose time has passed, one that lives, a foreign one."""
    with serving_context(tmp_path) as context:
        monkeypatch.setenv("WHIPPET_HOME", str(context.settings.home))
        monkeypatch.setenv("WHIPPET_JOB_PYTHON", str(context.settings.job_python))
        now = datetime.now(UTC)
        for name, hours in (("old", -1), ("new", 8), ("foreign", None)):
            told = {RUN_TAG: "run 1", EXPIRES_TAG: (now + timedelta(hours=hours or 0)).isoformat()}
            tags = [] if hours is None else [{"Key": key, "Value": told[key]} for key in told]
            config = make_config(context, f"{name}-c", ANSWER)
            for kind in ("endpoint-config", "model"):
                Tags(context).add_tags(ResourceArn=context.arn(kind, config), Tags=tags)
            Endpoints(context).create_endpoint(
                EndpointName=name, EndpointConfigName=config, Tags=tags
            )
        for name in ("old", "new", "foreign"):
            assert wait_for_endpoint(context, name)["EndpointStatus"] == "InService"
        yield context


@pytest.fixture
def image(tmp_path) -> Path:
    # The stand-in server puts what it is sent behind its answer: JSON allows blanks there.
    path = tmp_path / "it's été.JPG"
    path.write_bytes(b" ")
    return path


def names(context) -> list[str]:
    return [found["EndpointName"] for found in Endpoints(context).list_endpoints()["Endpoints"]]


def test_endpoints_and_questions(context, image, capsys):
    assert main(["endpoints"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["endpoint", "new", "old"]
    assert "(passed)" in rows[2]
    assert "(passed)" not in rows[1]
    assert main(["predict", str(image), str(image), "--endpoint", "new"]) == 0
    assert capsys.readouterr().out == f"{image}:\n   0.7500  châ\n" * 2

    assert main(["predict", str(image)]) == 1
    assert "the latest run has no endpoint" in capsys.readouterr().err
    run = open_run(Settings(), "id-1", "run 1", {}, resume=False)
    assert main(["predict", str(image)]) == 1
    assert "the latest run has no endpoint" in capsys.readouterr().err
    record(Settings(), run, RunFacts(endpoint=deployed("old")))
    assert main(["predict", str(image)]) == 0
    assert capsys.readouterr().out == "old:\n   0.7500  châ\n"

    image.write_bytes(b"no JSON any more")
    assert main(["predict", str(image)]) == 1
    said = capsys.readouterr().err
    assert "did not answer with predictions" in said
    assert "endpoint 'old' is real-time, InService" in said
    assert "  model   old-c (s3://" in said
    assert "  run     run 1\n" in said
    assert "labels and probabilities of one JPEG or PNG picture" in said
    assert main(["predict", str(image), "--endpoint", "foreign"]) == 1
    assert "none: not created by Whippet" in capsys.readouterr().err
    assert main(["predict", str(image), "--endpoint", "nothing"]) == 1
    assert "there is no endpoint 'nothing'" in capsys.readouterr().err
    image.write_bytes(b"")
    assert main(["predict", str(image)]) == 1
    assert "has 0 bytes" in capsys.readouterr().err


def test_a_folder_is_asked_past_what_is_bad(context, tmp_path, capsys):
    folder = tmp_path / "pictures"
    for name, content in {
        "a.jpg": b" ",
        "b/c.PNG": b"\n",
        "b/broken.png": b"no JSON",
        "b/empty.jpeg": b"",
        "b/large.jpg": bytes(6_291_457),
        "notes.txt": b"not a picture",
        "@eaDir/a.jpg": b" ",
        ".hidden/a.jpg": b" ",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    assert main(["predict", str(folder), str(tmp_path / "none.jpg"), "--endpoint", "new"]) == 1
    told = capsys.readouterr()
    answer = ":\n   0.7500  châ\n"
    assert told.out == f"{folder}/a.jpg{answer}{folder}/b/c.PNG{answer}"
    lines = told.err.splitlines()
    assert [line.partition(":")[0] for line in lines[:1]] == [f"{folder}/b/broken.png"]
    assert "empty.jpeg' has 0 bytes" in lines[1]
    assert "large.jpg: a picture of 6.3 MB cannot be scaled down for a request" in lines[2]
    assert "none.jpg' does not exist" in lines[3]
    assert lines[-1] == "2 of 6 pictures answered"
    (tmp_path / "none").mkdir()
    assert main(["predict", str(tmp_path / "none"), "--endpoint", "new"]) == 1
    assert "there is no JPEG or PNG picture below" in capsys.readouterr().err


def test_pictures_are_named_as_they_were_typed(context, tmp_path, monkeypatch, capsys):
    (tmp_path / "à b.png").write_bytes(b"\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    typed = ["./à b.png", "~/à b.png", "../none/./c.png"]
    assert main(["predict", *typed, "--endpoint", "new"]) == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[::2] == ["./à b.png:", "~/à b.png:"]
    assert told.err.splitlines()[0] == "image '../none/./c.png' does not exist"
    for given, said in {
        ("./none/", "--out=./a.csv"): "the folder of pictures './none/' does not exist",
        ("./", "--out=~/no/../a.csv"): "--out '~/no/../a.csv': there is no folder",
        ("./", "--out=./a.txt"): "--out './a.txt' must end in",
    }.items():
        assert main(["predict", *given]) == 1
        assert said in capsys.readouterr().err


class Terminal:
    """A person who types one line, or Ctrl-D."""

    def __init__(self, typed: str) -> None:
        self.typed = typed

    def isatty(self) -> bool:
        return True

    def readline(self, *_: object) -> str:
        return self.typed

    def fileno(self) -> int:
        raise OSError("not a file")


def test_reviving_with_nothing_to_revive(context, capsys):
    assert main(["endpoints", "--revive"]) == 0
    told = capsys.readouterr().out
    assert "no endpoint has lost its processes" in told
    assert "new " in told  # and the list as ever


def test_clean_up(context, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", StringIO())
    assert main(["clean-up"]) == 1
    assert "add --yes" in capsys.readouterr().err
    for typed in ("no\n", "\n", ""):
        monkeypatch.setattr("sys.stdin", Terminal(typed))
        assert main(["clean-up", "--all"]) == 0
    assert main(["clean-up", "foreign", "--yes"]) == 1
    assert "no endpoint 'foreign'" in capsys.readouterr().err
    assert names(context) == ["foreign", "new", "old"]
    capsys.readouterr()
    assert main(["clean-up", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "endpoint old" in told
    assert "its time to live has passed" in told
    assert "USD so far" in told
    assert "dry run: nothing was removed" in told
    assert names(context) == ["foreign", "new", "old"]

    assert main(["clean-up", "--idle", "1", "--all"]) == 1
    assert "--idle chooses among all endpoints" in capsys.readouterr().err
    for wrong in ("0", "-1", "nan", "inf", "soon"):
        with pytest.raises(SystemExit, match="2"):
            main(["clean-up", f"--idle={wrong}"])
        assert "is no number of hours above 0" in capsys.readouterr().err

    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    assert main(["clean-up", "--idle", "1"]) == 0
    assert "removed old" in capsys.readouterr().out
    assert names(context) == ["foreign", "new"]
    assert main(["clean-up", "--yes"]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"
    assert main(["clean-up", "new", "--yes"]) == 0
    assert names(context) == ["foreign"]
    left = EndpointConfigs(context).list_endpoint_configs()["EndpointConfigs"]
    assert [found["EndpointConfigName"] for found in left] == ["foreign-c"]
    assert [found["ModelName"] for found in Models(context).list_models()["Models"]] == [
        "foreign-c"
    ]


@pytest.mark.parametrize(
    ("names", "typed", "answer"),
    [
        (["one"], "one\n", True),
        (["one"], "yes\n", False),
        (["one", "two"], "2\n", True),
        (["one", "two"], "one\n", False),
        (["one", "two"], "", False),
    ],
)
def test_where_it_bills_the_name_or_the_number_is_typed(names, typed, answer, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert confirmed(names, bills=True) is answer


def test_down_ends_what_runs_here(context, capsys):
    assert main(["down"]) == 0
    said = capsys.readouterr().out
    for name in ("old", "new", "foreign"):
        assert name in said
    assert main(["down"]) == 0
    assert capsys.readouterr().out == ""
