from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import obstore
import psutil
import pytest
from botocore.exceptions import ClientError

from platforms.archives import extract_archive
from platforms.errors import SettingsError
from platforms.local.connection import connect_local
from platforms.local.context import LocalContext
from platforms.local.records import now
from platforms.local.training.jobs import TrainingJobs
from platforms.local.training.status import move
from platforms.local.training.supervisor import Supervisor
from platforms.processes.process import ProcessId, alive, group_alive, identify
from tests.worlds.brought_package import BROUGHT_PACKAGE
from tests.worlds.local.jobs import PROGRAM, Jobs, local_jobs, local_settings
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow

SLEEP = "import time; print('up'); time.sleep(300)"


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return local_jobs(tmp_path / 'it\'s "home" é')


def error_of(raised: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def supervisor_of(jobs: Jobs, name: str) -> ProcessId:
    record = jobs.context.records.read("training-jobs", name)
    return ProcessId.from_record(record["Local"]["Supervisor"])


def test_what_the_entry_point_gets(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "PREFECT_API_KEY", "WHIPPET_HOME", "SECRET"):
        monkeypatch.setenv(name, "ours")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    script = """
    import json, os, sys
    from pathlib import Path
    config = Path(os.environ["SM_INPUT_CONFIG_DIR"])
    found = {
        "argv": sys.argv[1:],
        "cwd": os.getcwd(),
        "path": sys.path[1],
        "environment": dict(os.environ),
        "channel": [str(p) for p in sorted(Path(os.environ["SM_CHANNEL_TRAIN"]).rglob("*.jpg"))],
        "config": {p.name: json.loads(p.read_text()) for p in config.iterdir()},
    }
    Path(os.environ["SM_OUTPUT_DATA_DIR"], "found.json").write_text(json.dumps(found))
    """
    weird = {
        "lr": "0.001",
        "batch-size": "4",
        "name": '"é \' \\"q\\""',
        "flag": "true",
        "none": "null",
        "e": "1e-05",
        "plain": "$HOME; rm -rf",
        "a=b": "1",
        "sagemaker_region": "x",
        "_tuning_objective_metric": "valid:loss",
        "nan": "NaN",
    }
    job = jobs.run("job", script, HyperParameters=weird, Environment={"MINE": "a b", "LANG": "C"})
    assert job["TrainingJobStatus"] == "Completed", jobs.log("job")
    archive = jobs.context.buckets.path("s3://whippet-local/jobs/job/output/output.tar.gz")
    extract_archive(archive, jobs.folder("job") / "unpacked")
    found = json.loads((jobs.folder("job") / "unpacked" / "found.json").read_text())
    assert found["argv"] == [
        *("--a=b", "1", "--batch-size", "4", "-e", "1e-05", "--flag", "True", "--lr", "0.001"),
        *("--name", 'é \' "q"', "--nan", "nan", "--none", "", "--plain", "$HOME; rm -rf"),
    ]
    environment = found["environment"]
    assert not {"AWS_SECRET_ACCESS_KEY", "PREFECT_API_KEY", "WHIPPET_HOME", "SECRET"} & set(
        environment
    )
    assert environment["MINE"] == "a b"
    assert environment["LANG"] == "C"
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["SM_HP_FLAG"] == "true"
    assert environment["SM_HP_BATCH-SIZE"] == "4"
    assert environment["SM_HP_NAME"] == 'é \' "q"'
    assert environment["CURRENT_HOST"] == "algo-1"
    assert environment["SAGEMAKER_REGION"] == "x"
    assert environment["MASTER_ADDR"] == "127.0.0.1"
    theirs = {"SM_INPUT_DATA_DIR", "SM_OUTPUT_FAILURE", "SM_CHECKPOINT_DIR"}
    assert not theirs & set(environment), "AWS has none of these"
    assert environment["TRAINING_JOB_NAME"] == "job"
    assert environment["SM_CHANNELS"] == '["train"]'
    assert "_tuning_objective_metric" not in json.loads(environment["SM_HPS"])
    contained = jobs.context.boundary().contained
    ml = Path("/opt/ml") if contained else jobs.folder("job") / "opt/ml"
    assert Path(found["cwd"]) == ml / "code"
    assert environment["SM_MODEL_DIR"] == str(ml / "model")
    assert found["path"] == found["cwd"]
    assert len(found["channel"]) == 1
    assert found["config"]["hyperparameters.json"]["batch-size"] == "4"
    assert found["config"]["resourceconfig.json"]["hosts"] == ["algo-1"]
    assert found["config"]["inputdataconfig.json"]["train"]["TrainingInputMode"] == "File"
    assert "debughookconfig.json" not in found["config"]


def test_a_shell_script_and_a_package_are_entry_points(jobs: Jobs) -> None:
    files = {
        "run.sh": '#!/bin/sh\necho "shell: $# arguments, last $2, in $(basename "$PWD")"\n',
        "setup.py": "from setuptools import setup\nsetup(name='mine', package_dir={'': 'src'})\n",
        "src/mine.py": "NAME = 'mine'\n",
        "main.py": "import mine, sys\nprint('package:', mine.NAME, __name__, sys.argv[1:])\n",
    }
    archive = jobs.upload("", **files)
    for name, said in (
        ("run.sh", "shell: 2 arguments, last a b, in code"),
        ("main.py", "package: mine __main__ ['-x', 'a b']"),
    ):
        request = jobs.request(name.replace(".", "-"), "")
        request["HyperParameters"] = {
            "sagemaker_program": name,
            "sagemaker_submit_directory": archive,
            "x": "a b",
        }
        jobs.platform.sagemaker.create_training_job(**request)
        job = jobs.wait(request["TrainingJobName"])
        assert job["TrainingJobStatus"] == "Completed", jobs.log(request["TrainingJobName"])
        assert said in jobs.log(request["TrainingJobName"])
    assert "setup.py is not installed" in jobs.log("main-py")


def test_debugger_profiler_and_checkpoints(jobs: Jobs) -> None:
    bucket = "s3://whippet-local"
    obstore.put(jobs.platform.store("whippet-local"), "checkpoints/run/epoch-1.txt", b"restored")
    script = """
    import json, os
    from pathlib import Path
    config = json.loads(Path(os.environ["SMDEBUG_CONFIG_FILE_PATH"]).read_text())
    profiler = json.loads(Path(os.environ["SMPROFILER_CONFIG_PATH"]).read_text())
    assert profiler["ProfilingIntervalInMilliseconds"] == 500
    assert config["CollectionConfigurations"][0]["CollectionName"] == "losses"
    (Path(config["LocalPath"]) / "events").mkdir(parents=True)
    (Path(config["LocalPath"]) / "events/0.tfevents").write_text("tensor")
    system = Path(os.environ["SM_OUTPUT_DATA_DIR"], "profiler-output/system")
    system.mkdir(parents=True)
    (system / "1.json").write_text("{}")
    checkpoints = Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints"
    (checkpoints / "epoch-2.txt").write_text((checkpoints / "epoch-1.txt").read_text() + "+1")
    (checkpoints / ".epoch-3.txt#123000000456").write_text("half of it")
    """
    job = jobs.run(
        "job",
        script,
        DebugHookConfig={
            "S3OutputPath": f"{bucket}/jobs/",
            "CollectionConfigurations": [{"CollectionName": "losses"}],
        },
        ProfilerConfig={
            "S3OutputPath": f"{bucket}/jobs",
            "ProfilingIntervalInMilliseconds": 500,
            "DisableProfiler": False,
        },
        CheckpointConfig={"S3Uri": f"{bucket}/checkpoints/run"},
    )
    assert job["TrainingJobStatus"] == "Completed", jobs.log("job")
    path = jobs.context.buckets.path
    assert path(f"{bucket}/jobs/job/debug-output/events/0.tfevents").read_text() == "tensor"
    assert path(f"{bucket}/jobs/job/profiler-output/system/1.json").read_text() == "{}"
    assert path(f"{bucket}/checkpoints/run/epoch-2.txt").read_text() == "restored+1"
    kept = path(f"{bucket}/checkpoints/run").iterdir()
    assert sorted(each.name for each in kept) == ["epoch-1.txt", "epoch-2.txt"], "whole files only"
    listed = [
        each["path"]
        for page in obstore.list(jobs.platform.store("whippet-local"), "jobs/job")
        for each in page
    ]
    sampled = [name for name in listed if "/system/incremental/" in name]
    assert sorted(set(listed) - set(sampled)) == [
        "jobs/job/debug-output/events/0.tfevents",
        "jobs/job/debug-output/training_job_end.ts",
        "jobs/job/output/model.tar.gz",
        "jobs/job/output/output.tar.gz",
        "jobs/job/profiler-output/framework/training_job_end.ts",
        "jobs/job/profiler-output/system/1.json",
        "jobs/job/profiler-output/system/training_job_end.ts",
        "jobs/job/profiler-output/training_job_end.ts",
    ]
    assert sampled


def test_a_failure_file_is_the_reason(jobs: Jobs) -> None:
    script = """
    import os, sys
    open(os.environ["SM_OUTPUT_DIR"] + "/failure", "w").write("no such layer " + "x" * 2000)
    open(os.environ["SM_MODEL_DIR"] + "/partial", "w").write("kept")
    open(os.environ["SM_OUTPUT_DATA_DIR"] + "/rules.json", "w").write("evidence")
    sys.exit(1)
    """
    job = jobs.run("job", script)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: no such layer x")
    assert job["FailureReason"].endswith("x, exit code: 1")
    assert len(job["FailureReason"]) == 1024
    assert "ModelArtifacts" not in job
    for archive in ("model.tar.gz", "output.tar.gz"):
        kept = jobs.context.buckets.path(f"s3://whippet-local/jobs/job/output/{archive}")
        assert kept.is_file()


def test_a_traceback_is_the_reason(jobs: Jobs) -> None:
    job = jobs.run("job", "print('noise ' * 9999)\nraise ValueError('é is no rate')")
    assert job["TrainingJobStatus"] == "Failed"
    assert "ValueError: é is no rate" in job["FailureReason"]
    head = 'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "'
    assert job["FailureReason"].startswith(head)
    assert job["FailureReason"].endswith('\nCommand "python sm_entrypoints/train.py", exit code: 1')
    assert len(job["FailureReason"]) <= 1024


def test_a_killed_process_is_explained(jobs: Jobs) -> None:
    job = jobs.run("job", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert "exit code: 137" in job["FailureReason"]
    assert '\nExtraInfo "OutOfMemory: Process killed by SIGKILL' in job["FailureReason"]


def test_stop_lets_the_job_save(jobs: Jobs) -> None:
    script = """
    import os, signal, sys, time
    def save(*_):
        open(os.environ["SM_MODEL_DIR"] + "/saved", "w").write("epoch 3")
        sys.exit(0)
    signal.signal(signal.SIGTERM, save)
    print('[metrics] {"valid:loss": 1.5}')
    print("up")
    time.sleep(300)
    """
    jobs.start("job", script)
    jobs.wait_for_line("job", "up")
    jobs.platform.sagemaker.stop_training_job(TrainingJobName="job")
    assert jobs.describe("job")["TrainingJobStatus"] in {"Stopping", "Stopped"}
    job = jobs.wait("job")
    assert job["TrainingJobStatus"] == "Stopped"
    assert "FailureReason" not in job
    assert job["FinalMetricDataList"][0]["Value"] == 1.5
    archive = jobs.context.buckets.path(job["ModelArtifacts"]["S3ModelArtifacts"].rstrip("/"))
    extract_archive(archive, jobs.folder("job") / "unpacked")
    assert (jobs.folder("job") / "unpacked/saved").read_text() == "epoch 3"


def test_what_ignores_sigterm_is_killed_with_its_children(jobs: Jobs) -> None:
    token = f"token-{time.monotonic_ns()}"
    script = f"""
    import signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", "{token}"])
    print("up", flush=True)
    time.sleep(300)
    """
    training = TrainingJobs(jobs.context, stop_grace_seconds=0.3)
    training.create_training_job(**jobs.request("job", script))
    jobs.wait_for_line("job", "up")
    assert _running(token)
    training.stop_training_job(TrainingJobName="job")
    assert jobs.wait("job")["TrainingJobStatus"] == "Stopped"
    wait_for(lambda: not _running(token), "end of the children")
    assert not _running(token)


def _running(token: str) -> list[int]:
    """Return the processes that have this argument; a job counts its own from 1."""
    found = psutil.process_iter(["cmdline"])
    return [each.pid for each in found if token in (each.info["cmdline"] or ())]


def test_the_service_counts_from_downloading_on(jobs: Jobs) -> None:
    job = jobs.run("job", "import time; time.sleep(1.2)")
    steps = {each["Status"]: each for each in job["SecondaryStatusTransitions"]}
    assert list(steps) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    start = job["TrainingStartTime"]
    assert abs((start - steps["Downloading"]["StartTime"]).total_seconds()) < 1
    assert start < job["TrainingEndTime"] <= steps["Completed"]["EndTime"]
    seconds = (job["TrainingEndTime"] - start).total_seconds()
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] == round(seconds) >= 1


def test_the_time_limit(jobs: Jobs) -> None:
    job = jobs.run("job", SLEEP, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert 1 <= job["TrainingTimeInSeconds"] < 300


def test_a_regex_that_backtracks_outlives_no_time_limit(jobs: Jobs) -> None:
    script = """
        import itertools, time
        for _ in itertools.count():
            print("a" * 15_000 + "!", flush=True)
            time.sleep(0.05)
    """
    request = jobs.request("job", script, StoppingCondition={"MaxRuntimeInSeconds": 6})
    definition = {"Name": "slow", "Regex": "(a+)+$"}
    request["AlgorithmSpecification"]["MetricDefinitions"] = [definition]
    jobs.platform.sagemaker.create_training_job(**request)
    job = jobs.wait("job")
    assert job["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert job["TrainingTimeInSeconds"] < 240  # one match of it takes longer than anybody waits
    assert "warning: the regex of metric 'slow' is no longer tried: '(a+)+$'" in jobs.log("job")


def test_a_killed_supervisor(jobs: Jobs) -> None:
    jobs.start("job", SLEEP)
    jobs.wait_for_line("job", "up")
    supervisor = supervisor_of(jobs, "job")
    trainer = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and _session_of(int(entry.name)) == supervisor.pid
    ]
    assert len(trainer) >= 2
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_for(lambda: not alive(supervisor), "end of the supervisor")
    job = jobs.describe("job")
    assert job["TrainingJobStatus"] == "Failed"
    assert "supervisor of this job ended" in job["FailureReason"]
    wait_for(lambda: not any(group_alive(pid) for pid in trainer), "end of the job's processes")
    assert not any(group_alive(pid) for pid in trainer)
    assert jobs.platform.sagemaker.list_training_jobs(StatusEquals="Failed")["TrainingJobSummaries"]


def test_a_job_that_was_to_stop_and_lost_its_supervisor_is_stopped(jobs: Jobs) -> None:
    script = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
    jobs.start("job", script)
    jobs.wait_for_line("job", "up")
    jobs.platform.sagemaker.stop_training_job(TrainingJobName="job")
    assert jobs.describe("job")["TrainingJobStatus"] == "Stopping"
    os.kill(supervisor_of(jobs, "job").pid, signal.SIGKILL)
    job = jobs.wait("job")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "FailureReason" not in job


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _orphan(jobs: Jobs, created: str) -> None:
    """Make the ended job what an interrupted starter leaves: a record that nobody runs."""

    def orphan(record: dict[str, Any]) -> dict[str, Any]:
        private = {key: value for key, value in record["Local"].items() if key != "Supervisor"}
        return {
            **record,
            "TrainingJobStatus": "InProgress",
            "CreationTime": created,
            "Local": private,
        }

    jobs.context.records.update("training-jobs", "job", orphan)


def test_a_job_that_never_got_a_supervisor(jobs: Jobs) -> None:
    jobs.run("job", "")
    _orphan(jobs, "2026-01-01T00:00:00.000000+00:00")
    assert jobs.describe("job")["TrainingJobStatus"] == "Failed"


def _left(jobs: Jobs, name: str) -> None:
    """Leave a job as a starter does that is killed between its record and its supervisor."""
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    starter = identify(gone.pid).to_record()
    gone.communicate()
    jobs.run("before", "print('ran')")
    record = jobs.context.records.read("training-jobs", "before")
    private = {key: value for key, value in record["Local"].items() if key != "Supervisor"}
    fresh = {
        "TrainingJobName": name,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatusTransitions": [],
        "CreationTime": now(),
        "Local": {**private, "Starter": starter},
    }
    ends = ("TrainingStartTime", "TrainingEndTime", "ModelArtifacts", "BillableTimeInSeconds")
    record = {key: value for key, value in record.items() if key not in ends}
    jobs.context.records.create("training-jobs", name, move({**record, **fresh}, "Starting"))


def test_a_job_whose_starter_was_killed_is_started_by_whoever_looks(jobs: Jobs) -> None:
    _left(jobs, "lost")
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: jobs.describe("lost"), range(4)))
    assert {answer["TrainingJobStatus"] for answer in answers} <= {"InProgress", "Completed"}
    assert jobs.wait("lost")["TrainingJobStatus"] == "Completed"
    assert jobs.log("lost").count("ran") == 1


def test_a_supervisor_that_comes_late_leaves_the_job_to_the_other(jobs: Jobs) -> None:
    _left(jobs, "lost")
    jobs.describe("lost")
    Supervisor(jobs.context.home, "lost").run()
    assert jobs.wait("lost")["TrainingJobStatus"] == "Completed"
    assert jobs.log("lost").count("ran") == 1


def test_a_job_whose_starter_was_killed_is_stopped_without_being_started(jobs: Jobs) -> None:
    _left(jobs, "lost")
    jobs.platform.sagemaker.stop_training_job(TrainingJobName="lost")
    assert jobs.describe("lost")["TrainingJobStatus"] == "Stopped"
    assert "Supervisor" not in jobs.context.records.read("training-jobs", "lost")["Local"]


def test_a_job_that_never_got_a_supervisor_can_be_stopped(jobs: Jobs) -> None:
    jobs.run("job", "print('ran')")
    _orphan(jobs, now())
    jobs.platform.sagemaker.stop_training_job(TrainingJobName="job")
    assert jobs.describe("job")["TrainingJobStatus"] == "Stopped"
    # Its supervisor was on the way all the same: it finds that there is nothing to do.
    Supervisor(jobs.context.home, "job").run()
    assert jobs.describe("job")["TrainingJobStatus"] == "Stopped"
    assert jobs.log("job").count("ran") == 1


def test_of_two_racers_one_job_runs(jobs: Jobs) -> None:
    request = jobs.request("race", SLEEP)

    def create(_: int) -> str:
        try:
            return str(
                connect_local(jobs.platform.settings).sagemaker.create_training_job(**request)
            )
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(create, range(4)))
    assert outcomes.count("ResourceInUse") == 3
    jobs.platform.sagemaker.stop_training_job(TrainingJobName="race")
    jobs.wait("race")


def test_no_job_environment(tmp_path: Path) -> None:
    jobs = Jobs(platform=connect_local(local_settings(tmp_path, job_python=tmp_path / "none")))
    with pytest.raises(SettingsError, match="make job-env"):
        jobs.start("job", "")
    assert jobs.context.records.names("training-jobs") == ()


def _empty_channel(request: dict[str, Any]) -> None:
    source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    source["S3Uri"] = "s3://whippet-local/data/nothing"


def _same_channel(request: dict[str, Any]) -> None:
    request["InputDataConfig"] *= 2


def _pipe(request: dict[str, Any]) -> None:
    request["AlgorithmSpecification"]["TrainingInputMode"] = "Pipe"


def _bad_regex(request: dict[str, Any]) -> None:
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "a", "Regex": "("}]


def _no_group(request: dict[str, Any]) -> None:
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "a", "Regex": "loss"}]


def _no_code(request: dict[str, Any]) -> None:
    request["HyperParameters"]["sagemaker_submit_directory"] = "s3://whippet-local/none.tar.gz"


def _program_outside(request: dict[str, Any]) -> None:
    request["HyperParameters"]["sagemaker_program"] = "../train.py"


def _no_limit(request: dict[str, Any]) -> None:
    del request["StoppingCondition"]


def _outside_the_tree(request: dict[str, Any]) -> None:
    request["CheckpointConfig"] = {"S3Uri": "s3://whippet-local/c", "LocalPath": "/etc"}


def _outside_the_bucket(request: dict[str, Any]) -> None:
    request["OutputDataConfig"]["S3OutputPath"] = "s3://whippet-local/../../x"


@pytest.mark.parametrize(
    ("break_request", "message"),
    [
        (_empty_channel, "No S3 objects found under S3 URL"),
        (_same_channel, "Channel names must be unique: 'train'"),
        (_pipe, "input mode Pipe is not available"),
        (_bad_regex, "'\\(' is not a valid regex"),
        (_no_group, "'loss' has no group"),
        (_no_code, "none.tar.gz"),
        (_program_outside, "sagemaker_program='../train.py'"),
        (_no_limit, "StoppingCondition is required"),
        (_outside_the_tree, "LocalPath '/etc' must be below /opt/ml"),
        (_outside_the_bucket, "cannot be a file name"),
    ],
)
def test_what_is_refused_before_anything_is_written(
    jobs: Jobs, break_request: Any, message: str
) -> None:
    request = jobs.request("job", "")
    break_request(request)
    with pytest.raises(ClientError, match=message) as raised:
        jobs.platform.sagemaker.create_training_job(**request)
    assert error_of(raised)[0] == "ValidationException"
    assert jobs.context.records.names("training-jobs") == ()


def test_one_machine_is_one_instance(jobs: Jobs) -> None:
    request = jobs.request("job", "")
    request["ResourceConfig"]["InstanceCount"] = 2
    with pytest.raises(ClientError) as raised:
        jobs.platform.sagemaker.create_training_job(**request)
    assert error_of(raised)[0] == "ResourceLimitExceeded"


def test_what_is_not_honoured_is_named(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "platforms.local"):
        job = jobs.run("job", "", EnableNetworkIsolation=True, EnableManagedSpotTraining=False)
    assert len(caplog.records) == 1
    assert "EnableNetworkIsolation" in caplog.text
    assert "EnableManagedSpotTraining" not in caplog.text
    assert "EnableNetworkIsolation" in jobs.log("job")
    assert job["EnableNetworkIsolation"] is True


def test_a_damaged_archive_fails_the_job(jobs: Jobs) -> None:
    request = jobs.request("job", "")
    uri = request["HyperParameters"]["sagemaker_submit_directory"]
    jobs.context.buckets.path(uri).write_bytes(b"no archive")
    jobs.platform.sagemaker.create_training_job(**request)
    job = jobs.wait("job")
    assert job["TrainingJobStatus"] == "Failed"
    assert "is not a readable tar.gz" in job["FailureReason"]


def test_an_output_that_cannot_be_written_fails_the_job(jobs: Jobs) -> None:
    # A file where a folder is needed: root, who runs CI, is refused nothing else.
    obstore.put(jobs.platform.store("whippet-local"), "jobs", b"a file")
    job = jobs.run("job", "import os; open(os.environ['SM_MODEL_DIR'] + '/m', 'w').write('1')")
    assert job["TrainingJobStatus"] == "Failed"
    assert "Not a directory" in job["FailureReason"]


@pytest.mark.parametrize("boundary", ["auto", "none"])
def test_requirements_are_installed_once(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boundary: str
) -> None:
    monkeypatch.setenv("WHIPPET_BOUNDARY", boundary)
    jobs = local_jobs(tmp_path / f"with {boundary}")
    script = "import brought, json; print(json.dumps(['brought', brought.V]))"
    for name in ("one", "two"):
        request = jobs.request(name, "")
        uri = jobs.upload(script, **BROUGHT_PACKAGE)
        request["HyperParameters"]["sagemaker_submit_directory"] = uri
        jobs.platform.sagemaker.create_training_job(**request)
        assert jobs.wait(name)["TrainingJobStatus"] == "Completed", jobs.log(name)
        assert '["brought", "1"]' in jobs.log(name)
    assert "Successfully installed brought-1" in jobs.log("one")
    assert "Successfully installed" not in jobs.log("two")


def test_requirements_that_pip_refuses_fail_the_job(jobs: Jobs) -> None:
    request = jobs.request("job", "")
    request["HyperParameters"]["sagemaker_submit_directory"] = jobs.upload(
        "print('ran')", **{"requirements.txt": "--no-index\nno-such-package>=1  # why\npytest\n"}
    )
    jobs.platform.sagemaker.create_training_job(**request)
    job = jobs.wait("job")
    assert job["TrainingJobStatus"] == "Failed"
    assert "InstallRequirementsError" in job["FailureReason"]
    assert "No matching distribution found for no-such-package" in job["FailureReason"]
    assert "ran" not in jobs.log("job").splitlines()


def test_lists_in_pages(jobs: Jobs) -> None:
    for name in ("a-1", "a-2", "b-1"):
        jobs.start(name, "")
    for name in ("a-1", "a-2", "b-1"):
        jobs.wait(name)
    list_jobs = jobs.platform.sagemaker.list_training_jobs
    first = list_jobs(MaxResults=2, SortBy="Name", SortOrder="Descending")
    assert [each["TrainingJobName"] for each in first["TrainingJobSummaries"]] == ["b-1", "a-2"]
    rest = list_jobs(
        MaxResults=2, SortBy="Name", SortOrder="Descending", NextToken=first["NextToken"]
    )
    assert [each["TrainingJobName"] for each in rest["TrainingJobSummaries"]] == ["a-1"]
    assert "NextToken" not in rest
    with pytest.raises(ClientError, match="start from the first page"):
        list_jobs(SortBy="CreationTime", NextToken=first["NextToken"])
    found = list_jobs(NameContains="a-", StatusEquals="Completed")["TrainingJobSummaries"]
    assert [each["TrainingJobName"] for each in found] == ["a-1", "a-2"]


def test_a_trial_knows_its_tuning_job(jobs: Jobs) -> None:
    context: LocalContext = jobs.context
    arn = context.arn("hyper-parameter-tuning-job", "search")
    TrainingJobs(context).launch(jobs.request("trial", ""), tuning_job_arn=arn)
    assert jobs.wait("trial")["TuningJobArn"] == arn
    assert PROGRAM in str(jobs.describe("trial")["HyperParameters"])
    assert sys.executable == context.records.read("training-jobs", "trial")["Local"]["JobPython"]
