"""What hook and profiler write is in the bucket while the job runs, in an order to read it by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from platforms.local.buckets.buckets import Buckets
from platforms.local.buckets.folders import FolderBuckets
from platforms.local.debugger.live_output import LiveOutput
from platforms.local.debugger.system_sampling import own_samples, stage_samples
from platforms.local.job_tree import JobTree
from tests.worlds.local.jobs import Jobs, local_jobs
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow

OUTPUT = "s3://whippet-local/jobs"
PROFILER = {"S3OutputPath": OUTPUT, "ProfilingIntervalInMilliseconds": 100}
MINUTE = "2026112609/1795687020.algo-1.json"
RECORD = {
    "TrainingJobName": "job",
    "OutputDataConfig": {"S3OutputPath": OUTPUT},
    "DebugHookConfig": {"S3OutputPath": OUTPUT},
    "ProfilerConfig": {"S3OutputPath": OUTPUT},
}


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def sample(moment: float, value: float) -> str:
    line = {"Type": "cpu", "Name": "cpu0", "Dimension": "CPUUtilization", "Value": value}
    return json.dumps({**line, "NodeId": "algo-1", "Timestamp": moment}) + "\n"


class _Order(FolderBuckets):
    """Folder buckets that note the order of what is pushed."""

    def push(self, folder: Path, uri: str, *, files: Any = None) -> None:
        super().push(folder, uri, files=files)
        PUSHED.extend(path.relative_to(folder).as_posix() for path in files or ())


PUSHED: list[str] = []


def test_an_index_comes_after_what_it_names_and_nothing_half_written_comes(tmp_path: Path) -> None:
    PUSHED.clear()
    tree = JobTree(folder=tmp_path / "job")
    tensors = tree.tensors(RECORD)
    for name in ("collections/0/w.json", "events/1/1.tfevents", "index/0/1.json"):
        write(tensors / name, "whole")
    for name in ("events/2/2.tfevents.tmp", "index/0/2.json.tmp", "claim.smd"):
        write(tensors / name, "half")
    buckets: Buckets = _Order(root=tmp_path / "s3")
    output = LiveOutput(tree=tree, record=RECORD, buckets=buckets)
    output.push()
    assert PUSHED == ["collections/0/w.json", "events/1/1.tfevents", "index/0/1.json"]
    there = tmp_path / "s3/whippet-local/jobs/job/debug-output"
    assert not (there / "training_job_end.ts").exists()
    assert not list(there.rglob("*.tmp"))
    output.finish()
    assert (there / "training_job_end.ts").read_bytes() == b""


def test_own_samples_replace_ours_from_their_first_on(tmp_path: Path) -> None:
    tree = JobTree(folder=tmp_path)
    write(tree.system_samples / "2026112609/1795686960.algo-1.json", sample(1795687019.5, 1))
    ours = sample(1795687020.0, 2) + sample(1795687021.0, 3) + '{"Type":"cpu","Na'
    write(tree.system_samples / MINUTE, ours)
    stage_samples(tree)
    staged = tree.profiler_output / "system/incremental" / MINUTE
    assert staged.read_text() == sample(1795687020.0, 2) + sample(1795687021.0, 3)
    write(own_samples(tree) / MINUTE, sample(1795687020.7, 4))
    later = "2026112609/1795687080.algo-1.json"
    write(own_samples(tree) / later, sample(1795687080.1, 5))
    write(tree.system_samples / later, sample(1795687080.2, 6))
    stage_samples(tree)
    assert staged.read_text() == sample(1795687020.0, 2) + sample(1795687020.7, 4)
    assert staged.with_name(Path(later).name).read_text() == sample(1795687080.1, 5)
    assert staged.with_name("1795686960.algo-1.json").read_text() == sample(1795687019.5, 1)


def test_the_bucket_fills_while_any_script_runs(tmp_path: Path) -> None:
    jobs = local_jobs(tmp_path / 'it\'s "home" é')
    script = """
    import json, os, sitecustomize, time
    from pathlib import Path
    config = json.loads(Path(os.environ["SMDEBUG_CONFIG_FILE_PATH"]).read_text())
    beside = Path(os.environ["SM_INPUT_DIR"], "debugger")
    assert Path(sitecustomize.__file__).parent == beside, sitecustomize.__file__
    for name in ("events/0/0.tfevents", "index/0/0.json"):
        path = Path(config["LocalPath"], name)
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    while not Path("end").exists():
        time.sleep(0.02)
    """
    jobs.start("job", script, DebugHookConfig={"S3OutputPath": OUTPUT}, ProfilerConfig=PROFILER)
    there = jobs.context.buckets.path(f"{OUTPUT}/job")  # type: ignore[attr-defined]
    index = there / "debug-output/index/0/0.json"
    wait_for(lambda: _samples(there) and index.exists(), lambda: f"output: {jobs.log('job')}")
    live = _samples(there)
    assert not list(there.rglob("training_job_end.ts"))
    (jobs.folder("job") / "opt/ml/code/end").touch()
    assert jobs.wait("job")["TrainingJobStatus"] == "Completed"
    ended = _samples(there)
    assert ended[: len(live)] == live
    assert len(ended) > len(live)
    moments = [each["Timestamp"] for each in ended if each["Name"] == "cpu0"]
    cpu = [m for m, each in zip(moments, ended, strict=False)]
    assert cpu == sorted(cpu)
    assert {"CPUUtilization", "I/OWaitPercentage"} <= {each["Dimension"] for each in ended}
    memory = [each["Value"] for each in ended if each["Name"] == "ProcessMemoryBytes"]
    assert memory[0] > 1e6
    assert {each["NodeId"] for each in ended} == {"algo-1"}


def _samples(there: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted((there / "profiler-output/system/incremental").glob("*/*.algo-1.json"))
        for line in path.read_text("utf-8").splitlines()
    ]


def test_a_profiler_that_is_off_leaves_nothing(tmp_path: Path) -> None:
    jobs: Jobs = local_jobs(tmp_path)
    script = "import os; print(os.environ['PYTHONPATH'])"
    jobs.run("job", script, ProfilerConfig={"DisableProfiler": True})
    assert "debugger" not in jobs.log("job").splitlines()[-1].rpartition("job")[2]
    there = jobs.context.buckets.path(f"{OUTPUT}/job")  # type: ignore[attr-defined]
    assert not (there / "profiler-output").exists()
    assert not (jobs.folder("job") / "system-samples").exists()
