"""What `whippet explain` fetches, refuses, and writes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import LocalStore

from dashboards.files.findings import RuleOutcome
from dashboards.sections.sagemaker import SageMakerRule, why_different
from platforms import Settings
from platforms.errors import DataError, ParameterError
from tasks.explain import source as explanation_source
from tasks.explain.explanation import explain
from tasks.explain.source import fetch_source

MINUTE = 1_591_160_640
# A file of a real report's form (CPU instance): no GPU, and fewer samples than the patience.
BATCH_SIZE = {
    "RuleTriggered": 0,
    "Violations": 0,
    "Details": {},
    "Datapoints": 361,
    "RuleParameters": "cpu_threshold_p95:70\ngpu_threshold_p95:70\npatience:1000\nwindow:500",
}


@dataclass
class Buckets:
    """The part of a platform that explaining uses."""

    root: Path

    def store(self, bucket: str) -> Any:
        return LocalStore(self.root / bucket, mkdir=True)


def _unreachable() -> Any:
    raise AssertionError("no platform is needed for a folder")


def _system(minutes: int = 2) -> dict[str, bytes]:
    """Return files of the profiler, by key below profiler-output/: two idle cores."""
    files = {}
    for minute in range(minutes):
        start = MINUTE + 60 * minute
        lines = [
            {"Type": "cpu", "Name": f"cpu{core}", "Dimension": "CPUUtilization", "Value": 3.0,
             "NodeId": "algo-1", "Timestamp": start + half / 2}
            for half in range(120) for core in range(2)
        ]  # fmt: skip
        text = "".join(json.dumps(line) + "\n" for line in lines)
        files[f"system/incremental/2020060305/{start}.algo-1.json"] = text.encode()
    return files


@pytest.fixture
def bucket(awkward_path: Path) -> Buckets:
    """A job as SageMaker leaves it: system metrics, its own report, a model."""
    buckets = Buckets(awkward_path / "s3")
    store = buckets.store("bucket")
    for name, content in _system().items():
        obstore.put(store, f"a/job-1/profiler-output/{name}", content)
    rules = "a/job-1/rule-output/ProfilerReport-1591160700/profiler-output/profiler-reports"
    obstore.put(store, f"{rules}/BatchSize.json", json.dumps(BATCH_SIZE).encode())
    obstore.put(store, f"{rules}/Broken.json", b'{"RuleTriggered": ')
    obstore.put(store, "a/job-1/output/model.tar.gz", b"not wanted")
    obstore.put(store, "a/job-10/profiler-output/system/incremental/x/y.json", b"another job")
    return buckets


def _settings(folder: Path) -> Settings:
    return Settings(home=folder / "home")


@pytest.mark.job
def test_a_jobs_prefix_gives_verdict_report_and_sagemakers_own_rules(bucket, awkward_path, capsys):
    said: list[str] = []
    found = explain(
        "s3://bucket/a/job-1/",
        output=None,
        settings=_settings(awkward_path),
        connect=lambda: bucket,
        progress=said.append,
    )
    assert "reading the system metrics" in said
    assert found.report.parent.parent == awkward_path / "home" / "explained"
    assert found.findings.verdict.sentence
    page = found.report.read_text("utf-8")
    assert "SageMaker&#x27;s report" in page
    assert "BatchSize" in page
    assert {rule.rule for rule in found.findings.rules} > {"BatchSize", "LowCPUUtilization"}
    low = next(rule for rule in found.findings.rules if rule.rule == "LowCPUUtilization")
    assert low.datapoints > 0
    # Again, into the same place; nothing but the explanation is left behind.
    explain(
        "s3://bucket/a/job-1/",
        output=found.report.parent,
        settings=_settings(awkward_path),
        connect=lambda: bucket,
        progress=said.append,
    )
    assert [path.name for path in found.report.parent.parent.iterdir()] == [
        found.report.parent.name
    ]


@pytest.mark.job
def test_another_job_that_was_the_same_one_is_found(awkward_path):
    losses = {"epoch": 1, "mode": "TRAIN", "collection": "losses", "name": "loss"}
    lines = [json.dumps({**losses, "step": step, "mean": 1 / (1 + step)}) for step in range(5)]
    for name in ("job", "twin"):
        (awkward_path / name / "instrumentation").mkdir(parents=True)
        (awkward_path / name / "training.json").write_text("{}")
        (awkward_path / name / "instrumentation/reductions.jsonl").write_text("\n".join(lines))
    found = explain(
        str(awkward_path / "job"),
        output=awkward_path / "out",
        settings=_settings(awkward_path),
        connect=_unreachable,
        progress=lambda line: None,
        others=[str(awkward_path / "twin")],
    )
    same = next(rule for rule in found.findings.rules if rule.rule == "SimilarAcrossRuns")
    assert same.status == "IssuesFound"
    assert "the losses of 5 steps equal those of the other run" in found.report.read_text("utf-8")


@pytest.mark.job
def test_a_folder_with_nothing_says_what_was_looked_for(awkward_path):
    (awkward_path / "photos").mkdir()
    said = []
    with pytest.raises(DataError, match=r"has nothing to explain\. Looked for"):
        explain(
            str(awkward_path / "photos"),
            output=awkward_path / "out",
            settings=_settings(awkward_path),
            connect=_unreachable,
            progress=said.append,
        )
    assert said == [], "the error is not said twice"
    assert sorted(path.name for path in awkward_path.iterdir()) == ["photos"]


@pytest.mark.parametrize("source", ["no/such/folder", "no-such-run", "file.txt"])
def test_what_is_no_source_is_refused(awkward_path, monkeypatch, source):
    monkeypatch.chdir(awkward_path)
    (awkward_path / "file.txt").write_text("x")
    with pytest.raises(DataError, match=r"give a folder .* or the name of a run"):
        fetch_source(source, awkward_path, _settings(awkward_path), _unreachable)


@pytest.mark.parametrize("source", ["", "  "])
def test_an_empty_name_is_not_this_folder(awkward_path, monkeypatch, source):
    monkeypatch.chdir(awkward_path)
    with pytest.raises(DataError, match="name a folder, s3://bucket/prefix or a run"):
        fetch_source(source, awkward_path, _settings(awkward_path), _unreachable)


def test_an_output_in_use_is_not_overwritten(awkward_path):
    (awkward_path / "thesis.txt").write_text("mine")
    with pytest.raises(ParameterError, match="is not an earlier explanation"):
        explain(
            str(awkward_path),
            output=awkward_path,
            settings=_settings(awkward_path),
            connect=_unreachable,
            progress=lambda line: None,
        )


def test_only_what_can_be_explained_is_fetched(bucket, awkward_path):
    source = fetch_source(
        "s3://bucket/a/job-1", awkward_path / "w", _settings(awkward_path), lambda: bucket
    )
    names = {path.name for path in (awkward_path / "w").rglob("*") if path.is_file()}
    assert names == {
        f"{MINUTE}.algo-1.json",
        f"{MINUTE + 60}.algo-1.json",
        "BatchSize.json",
        "Broken.json",
    }
    assert source.notes == []


def test_a_part_alone_keeps_the_name_that_says_what_it_is(bucket, awkward_path):
    uri = "s3://bucket/a/job-1/profiler-output/system/incremental"
    source = fetch_source(uri, awkward_path / "w", _settings(awkward_path), lambda: bucket)
    assert [root.name for root in source.roots] == ["incremental"]


def test_an_empty_prefix_is_refused(bucket, awkward_path):
    with pytest.raises(DataError, match="has nothing to explain"):
        fetch_source("s3://bucket/b", awkward_path, _settings(awkward_path), lambda: bucket)


def test_too_many_bytes_of_tensors_are_sampled_evenly(bucket, awkward_path, monkeypatch):
    for step in range(10):
        key = f"a/job-2/debug-output/events/{step:012d}/{step:012d}_worker_0.tfevents"
        obstore.put(bucket.store("bucket"), key, b"x" * 100)
    monkeypatch.setattr(explanation_source, "MAX_BYTES", 500)
    source = fetch_source(
        "s3://bucket/a/job-2", awkward_path / "w", _settings(awkward_path), lambda: bucket
    )
    assert len(list((awkward_path / "w").rglob("*.tfevents"))) == 5
    assert source.notes == [
        "5 of 10 saved steps were fetched, evenly spaced: all of them were too large."
    ]


def _ours(status: str) -> RuleOutcome:
    return RuleOutcome(
        rule="BatchSize", kind="profiler", status=status, triggered=3, violations=3, datapoints=9,
        description="", threshold="p95 below 70%", recommendation="", action="warn",
        reason="no GPU", parameters={}, details={}, marks=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("triggered", "datapoints", "status", "said"),
    [
        (0, 361, "IssuesFound", r"waits for 1,000 samples \(8 min 20 s .* got 361"),
        (0, 5000, "IssuesFound", "found only here"),
        (4, 5000, "NoIssuesFound", "not found here"),
        (4, 5000, "IssuesFound", "both agree"),
        (0, 5000, "NotApplicable", "does not apply here: no GPU"),
    ],
)
def test_differences_are_explained(triggered, datapoints, status, said):
    theirs = SageMakerRule(
        rule="BatchSize",
        triggered=triggered,
        violations=0,
        datapoints=datapoints,
        parameters={"patience": "1000"},
    )
    assert re.search(said, why_different(theirs, _ours(status)))
