"""What old jobs leave goes; what a run, an endpoint or somebody else needs stays."""

from __future__ import annotations

import argparse
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.main import main
from cli.old_files import age
from platforms import Platform
from platforms.local.connection import connect_local
from platforms.local.context import local_context
from platforms.local.records import Records
from tasks.leftovers.needs import needed_by_runs
from tasks.requests.tags import RUN_TAG
from tasks.runs.record import open_run, record, run_folder
from tasks.runs.record_model import RunFacts
from tests.worlds.local.jobs import local_settings
from tests.worlds.run_records import best

OLD = (datetime.now(UTC) - timedelta(days=9)).isoformat(timespec="microseconds")
NEW = datetime.now(UTC).isoformat(timespec="microseconds")
BASE = "s3://whippet-local/whippet/jobs"


class Home:
    """A home with jobs: folders and records as their supervisors leave them."""

    def __init__(self, home: Path) -> None:
        self.platform: Platform = connect_local(local_settings(home))
        self.settings = self.platform.settings
        self.records: Records = local_context(self.settings).records
        self.buckets = local_context(self.settings).buckets
        self.run = open_run(self.settings, "id-1", "demo", {}, resume=False)

    def job(self, name: str, status: str = "Completed", changed: str = OLD, **more) -> Path:
        uri = f"{BASE}/{name}/output/model.tar.gz"
        values = {
            "TrainingJobName": name,
            "TrainingJobStatus": status,
            "CreationTime": changed,
            "LastModifiedTime": changed,
            "OutputDataConfig": {"S3OutputPath": BASE},
            "ModelArtifacts": {"S3ModelArtifacts": uri},
            "Tags": [{"Key": RUN_TAG, "Value": "some run"}],
            "Local": {},
        }
        self.records.create("training-jobs", name, {**values, **more})
        folder = self.records.folder("training-jobs", name)
        (folder / "opt" / "ml" / "model").mkdir(parents=True)
        (folder / "opt" / "ml" / "model" / "weights").write_bytes(b"w" * 5000)
        (folder / "log.txt").write_text("what it said")
        with self.buckets.writing(uri, self.settings.home) as path:
            path.write_bytes(b"m" * 3000)
        return folder

    def search(self, name: str) -> None:
        values = {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobStatus": "Completed",
            "CreationTime": OLD,
            "LastModifiedTime": OLD,
            "Tags": [{"Key": RUN_TAG, "Value": "some run"}],
            "Local": {"Supervisor": None},
        }
        self.records.create("tuning-jobs", name, values)

    def found(self, days: float = 7) -> dict[str, int]:
        needed = needed_by_runs(self.settings)
        found = self.platform.old_files(timedelta(days=days), needed)
        return {each.what: each.bytes for each in found}

    def remove(self, days: float = 7) -> None:
        needed = needed_by_runs(self.settings)
        for each in self.platform.old_files(timedelta(days=days), needed):
            each.remove()
            each.remove()  # killed in between, and done again


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / 'it\'s "home" é')


def model_of(home: Home, job: str) -> Path | None:
    return home.buckets.on_disk(f"{BASE}/{job}/output/model.tar.gz")


def test_jobs_of_known_runs_keep_record_log_and_model(home):
    name = f"{home.run.prefix}-train"
    folder = home.job(name)
    assert home.found() == {f"working files of training job {name}": 5000}
    assert home.found(days=10) == {}
    home.remove()
    assert sorted(each.name for each in folder.iterdir() if each.name[0] != ".") == [
        "log.txt",
        "record.json",
    ]
    assert model_of(home, name).is_file()
    assert home.found() == {}


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_nothing_goes_of_a_job_that_has_not_ended(home, status):
    home.job(f"{home.run.prefix}-train", status)
    home.job("of-a-run-that-was-removed", status)
    assert home.found(days=0) == {}


def test_only_the_models_of_trials_that_lost_go(home):
    search = f"{home.run.prefix}-tune"
    home.search(search)
    arn = local_context(home.settings).arn("hyper-parameter-tuning-job", search)
    for number in (1, 2, 3):
        home.job(f"{search}-00{number}-abcdef", TuningJobArn=arn, Tags=[])
    record(home.settings, home.run, RunFacts(best=best(f"{search}-002-abcdef")))
    uri = f"{BASE}/{search}-003-abcdef/output/model.tar.gz"
    home.records.create(
        "models", "served", {"ModelName": "served", "PrimaryContainer": {"ModelDataUrl": uri}}
    )
    home.remove()
    kept = [n for n in (1, 2, 3) if _is_file(model_of(home, f"{search}-00{n}-abcdef"))]
    assert kept == [2, 3]
    assert len(home.records.names("training-jobs")) == 3  # the table of trials stays whole
    assert home.records.names("tuning-jobs") == (search,)


def _is_file(path: Path | None) -> bool:
    return path is not None and path.is_file()


def test_jobs_of_removed_runs_go_whole_but_not_others_and_not_what_is_served(home):
    home.job("removed-abc123-train")
    home.search("removed-abc123-tune")
    arn = local_context(home.settings).arn("hyper-parameter-tuning-job", "removed-abc123-tune")
    home.job("removed-abc123-tune-001-abcdef", TuningJobArn=arn, Tags=[])
    home.job("recent-abc123-train", changed=NEW)
    folder = home.job("somebody-elses", Tags=[])
    served = home.job("deployed-abc123-train")
    deployment = {
        "Container": {"ModelDataUrl": f"{BASE}/deployed-abc123-train/output/model.tar.gz"}
    }
    local = {"Pending": None, "Server": None, "Deployed": deployment, "Retired": []}
    home.records.create(
        "endpoints", "e", {"EndpointName": "e", "EndpointStatus": "InService", "Local": local}
    )
    home.remove()
    assert home.records.names("training-jobs") == (
        "deployed-abc123-train",
        "recent-abc123-train",
        "somebody-elses",
    )
    assert home.records.names("tuning-jobs") == ()
    for each in (folder, served):  # of those only the working files
        assert (each / "log.txt").is_file()
        assert not (each / "opt").exists()
    assert (home.records.folder("training-jobs", "recent-abc123-train") / "opt").is_dir()
    assert _is_file(model_of(home, "deployed-abc123-train"))


def test_what_killed_processes_left_half_written_goes(home):
    root = home.settings.home
    bucket = root / "s3" / "whippet-local" / "a"
    runs = run_folder(home.settings, home.run.name)
    old = [
        bucket / "model.tar.gz#29559216145690#29559359167211",
        bucket / ".model.tar.gz#12345000000001",
        runs / ".improvement-x1y2",
        root / "training-jobs" / ".new-abcd",
    ]
    stays = [bucket / "photo #3.jpg", bucket / "notes#12", runs / "run.json", runs / ".lock"]
    for path in [*old, *stays]:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name.startswith((".improvement", ".new")):
            path.mkdir()
            (path / "part").write_bytes(b"x" * 700)
        elif not path.exists():
            path.write_bytes(b"x" * 700)
    assert home.found(days=0) == {}  # somebody may be writing them
    moment = time.time() - 7 * 3600
    for path in [*old, *stays]:
        os.utime(path, (moment, moment))
    assert sum(home.found(days=0).values()) == 4 * 700
    home.remove(days=0)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in stays)


def test_the_command_tells_sizes_and_asks(home, monkeypatch, capsys):
    monkeypatch.setenv("WHIPPET_HOME", str(home.settings.home))
    folder = home.job(f"{home.run.prefix}-train")
    assert main(["clean-up", "--older-than", "7d", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "working files of training job" in told
    assert "9 d 0 h" in told
    assert "0.0 MB would be free again" in told
    assert main(["clean-up", "--older-than", "7"]) == 1
    assert "add --yes" in capsys.readouterr().err
    assert (folder / "opt").is_dir()
    assert main(["clean-up", "--older-than", "7", "--all"]) == 1
    assert "give no endpoint, no --all and no --idle" in capsys.readouterr().err
    assert main(["clean-up", "--older-than", "12h", "--yes"]) == 0
    assert "MB are free again" in capsys.readouterr().out
    assert not (folder / "opt").exists()
    assert main(["clean-up", "--older-than", "0", "--yes"]) == 0
    assert capsys.readouterr().out == "nothing old to remove\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", timedelta(days=7)),
        ("7d", timedelta(days=7)),
        (" 12 H", timedelta(hours=12)),
        ("0.5d", timedelta(hours=12)),
    ],
)
def test_ages_are_days_or_hours(text, expected):
    assert age(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "7w", "d", "1e3", "9" * 30, "nan"])
def test_what_is_no_age_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        age(text)
