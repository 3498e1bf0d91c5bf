"""Folders that smdebug 1.0.34 and SageMaker's profiler wrote, judged like a job of our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sm_entrypoints.explain import explain, main
from sm_entrypoints.imported import index as imported_index
from sm_entrypoints.imported import parts as imported_parts
from sm_entrypoints.imported.parts import ExplainError
from sm_entrypoints.imported.sampling import evenly
from sm_entrypoints.rules.reading import read_evidence

pytestmark = pytest.mark.slow

MINUTE = 1_591_160_640


def _train(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    program = "tests.sm_entrypoints.smdebug_training"
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen(
        [sys.executable, "-m", program, str(folder), *arguments], env=environment
    )


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three trainings by smdebug's hook: healthy, with a rate x 10,000, and saved as reductions."""
    root = tmp_path_factory.mktemp("it's smdébug")
    runs = [
        _train(root / "healthy" / "debug-output", "0.02"),
        _train(root / "exploding" / "debug-output", "200"),
        _train(root / "reduced" / "debug-output", "0.02", "reduced"),
    ]
    assert [run.wait(600) for run in runs] == [0, 0, 0]
    return root


def _rules(output: Path) -> dict[str, dict[str, Any]]:
    rules = json.loads((output / "instrumentation/rules.json").read_text())["rules"]
    return {rule["rule"]: rule for rule in rules}


def _verdict(output: Path) -> dict[str, Any]:
    verdict: dict[str, Any] = json.loads((output / "instrumentation/verdict.json").read_text())
    return verdict


@pytest.fixture
def copy(trials: Path, tmp_path: Path) -> Path:
    """A copy of the healthy training, to be damaged."""
    shutil.copytree(trials / "healthy", tmp_path / "job")
    return tmp_path / "job" / "debug-output"


def test_a_healthy_training_of_smdebug_has_nothing_to_change(trials: Path, tmp_path: Path) -> None:
    answer = explain([trials / "healthy"], tmp_path / "out")
    assert list(answer["parts"]) == ["saved tensors"]
    assert _verdict(tmp_path / "out")["severity"] == "ok"
    evidence = read_evidence(tmp_path / "out")
    seen = Counter((record.mode, record.collection) for record in evidence.records)
    # Every other of 24 training and 12 validation steps; two layers with weight and bias.
    assert seen == {
        ("TRAIN", "losses"): 12,
        ("EVAL", "losses"): 6,
        ("TRAIN", "gradients"): 48,
        ("TRAIN", "weights"): 48,
        ("TRAIN", "update_ratios"): 44,
        ("TRAIN", "relu_output"): 12,
    }
    assert [row["epoch"] for row in evidence.epochs if row["split"] == "valid"] == [1, 2, 3]
    assert evidence.job == {"epochs_run": 3, "steps_per_epoch": 8}
    saved = json.loads((tmp_path / "out/instrumentation/saved_tensors.json").read_text())
    assert saved["source"] == "smdebug 1.0.34"
    assert {"name": "gradient/Net_fc.weight", "shape": [4, 144]}.items() <= next(
        tensor for tensor in saved["tensors"] if tensor["name"] == "gradient/Net_fc.weight"
    ).items()
    assert _rules(tmp_path / "out")["LossNotDecreasing"]["status"] == "NoIssuesFound"


def test_a_rate_that_makes_the_numbers_explode_is_the_verdict(trials: Path, tmp_path: Path) -> None:
    explain([trials / "exploding" / "debug-output"], tmp_path / "out")
    rules = _rules(tmp_path / "out")
    assert rules["ExplodingTensor"]["triggered"] > 0 or rules["LossNotDecreasing"]["triggered"] > 0
    verdict = _verdict(tmp_path / "out")
    assert verdict["severity"] == "error"
    assert "lr" in verdict["advice"]
    # The job is not train.py's: no hyperparameter of ours can be named.
    assert verdict["change"] is None


def test_reductions_are_taken_where_no_raw_tensors_were_saved(trials: Path, tmp_path: Path) -> None:
    explain([trials / "reduced"], tmp_path / "out")
    records = read_evidence(tmp_path / "out").records
    gradients = [record for record in records if record.collection == "gradients"]
    assert len(gradients) == 48
    assert all(record.std is not None and record.std > 0 for record in gradients)
    assert all(record.abs_mean is not None and record.p5 is None for record in gradients)
    assert _rules(tmp_path / "out")["VanishingGradient"]["status"] == "NoIssuesFound"


def test_a_training_that_was_cut_off_is_read_without_waiting(copy: Path, tmp_path: Path) -> None:
    (copy / "training_job_end.ts").unlink()
    steps = sorted(copy.glob("index/*/*.json"))
    steps[1].write_text(steps[1].read_text()[:100])
    (event,) = copy.glob("events/*/000000000004_worker_0.tfevents")
    event.unlink()
    (event,) = copy.glob("events/*/000000000006_worker_0.tfevents")
    content = event.read_bytes()
    event.write_bytes(b"\xff" * len(content))
    began = time.monotonic()
    notes = " ".join(explain([copy], tmp_path / "out")["notes"])
    assert time.monotonic() - began < 120
    assert "Whether the training had ended when these files were copied is not recorded" in notes
    assert "2 saved steps could not be read" in notes
    assert "saved values are broken" in notes
    steps_seen = {record.step for record in read_evidence(tmp_path / "out").records}
    assert steps_seen.isdisjoint({2, 4, 6}) is False  # of EVAL
    assert _verdict(tmp_path / "out")["sentence"]


@pytest.mark.parametrize(
    "proof",
    ["profiler-output/training_job_end.ts", "output/model.tar.gz", "rule-output/R/profiler-output"],
)
def test_a_finished_job_is_known_by_what_lies_beside_its_tensors(
    copy: Path, tmp_path: Path, proof: str
) -> None:
    (copy / "training_job_end.ts").unlink()
    path = copy.parent / proof
    path.parent.mkdir(parents=True)
    path.mkdir() if "." not in path.name else path.write_bytes(b"")
    notes = " ".join(explain([copy.parent], tmp_path / "out")["notes"])
    assert "ended" not in notes
    assert "cut off" not in notes


def test_two_saved_steps_of_a_diverged_training_are_enough(trials: Path, tmp_path: Path) -> None:
    job = tmp_path / "job/debug-output"
    shutil.copytree(trials / "exploding/debug-output", job)
    for path in sorted(job.glob("index/*/*.json")):
        meta = json.loads(path.read_text())["meta"]
        if meta["mode"] != "TRAIN" or meta["mode_step"] not in (0, 4):
            path.unlink()
    explain([job], tmp_path / "out")
    losses = [r for r in read_evidence(tmp_path / "out").records if r.collection == "losses"]
    assert [record.step for record in losses] == [0, 4]
    verdict = _verdict(tmp_path / "out")
    assert verdict["severity"] == "error"
    assert "Leave it" not in verdict["advice"]


def test_two_saved_steps_of_a_sound_training_are_too_few(copy: Path, tmp_path: Path) -> None:
    for path in sorted(copy.glob("index/*/*.json")):
        meta = json.loads(path.read_text())["meta"]
        if meta["mode"] != "TRAIN" or meta["mode_step"] not in (0, 4):
            path.unlink()
    explain([copy], tmp_path / "out")
    verdict = _verdict(tmp_path / "out")
    assert verdict["severity"] == "note"
    assert verdict["sentence"] == (
        "Too little was recorded to judge the training: only 2 training steps were recorded."
    )
    assert "Leave it" not in verdict["advice"]


def write_report(folder: Path, **triggered: int) -> None:
    """Write a ProfilerReport's folder as SageMaker does; counts are those of a real one."""
    folder.mkdir(parents=True)
    for rule in ("BatchSize", "CPUBottleneck", "Dataloader", "OverallSystemUsage"):
        fired = triggered.get(rule, 0)
        document = {
            "RuleTriggered": fired,
            "Violations": fired,
            "Details": {},
            "Datapoints": 3754,
            "RuleParameters": "threshold:50\ncpu_threshold:90\npatience:1000",
        }
        (folder / f"{rule}.json").write_text(json.dumps(document))


@pytest.mark.parametrize("beside", [True, False], ids=["with system metrics", "alone"])
def test_what_sagemakers_own_rules_found_is_evidence(tmp_path: Path, beside: bool) -> None:
    job = tmp_path / "job"
    report = job / "rule-output/ProfilerReport-1591160700/profiler-output/profiler-reports"
    write_report(report, CPUBottleneck=2602)
    if beside:
        write_system(job / "profiler-output/system/incremental")
    answer = explain([job], tmp_path / "out")
    assert answer["parts"]["SageMaker's ProfilerReport"] == str(report)
    (theirs,) = [rule for rule in answer["sagemaker_rules"] if rule["triggered"]]
    assert (theirs["rule"], theirs["datapoints"]) == ("CPUBottleneck", 3754)
    assert theirs["parameters"]["patience"] == "1000"
    verdict = _verdict(tmp_path / "out")
    told = [verdict, *verdict["others"]]
    (said,) = [each for each in told if each["rule"] == "CPUBottleneck"]
    assert said["sentence"] == (
        "SageMaker's own rule CPUBottleneck triggered 2,602 times in 3,754 datapoints."
    )
    assert verdict["severity"] == "warning"


def test_a_quiet_report_alone_says_little(tmp_path: Path) -> None:
    write_report(tmp_path / "downloaded")  # whatever the folder is called
    explain([tmp_path / "downloaded"], tmp_path / "out")
    verdict = _verdict(tmp_path / "out")
    assert verdict["severity"] == "note"
    assert "found nothing" in verdict["sentence"]


def test_reports_that_our_rules_wrote_are_not_sagemakers(tmp_path: Path) -> None:
    write_system(tmp_path / "job/profiler-output/system/incremental")
    explain([tmp_path / "job"], tmp_path / "out")
    (tmp_path / "copy").mkdir()
    shutil.copytree(tmp_path / "out/profiler-output", tmp_path / "copy/profiler-output")
    assert explain([tmp_path / "copy"], tmp_path / "again")["sagemaker_rules"] == []
    assert "SageMaker's ProfilerReport" not in explain([tmp_path / "copy"], tmp_path / "3")["parts"]


def test_system_metrics_alone_say_nothing_of_the_training(tmp_path: Path) -> None:
    write_system(tmp_path / "job/profiler-output/system/incremental")
    explain([tmp_path / "job"], tmp_path / "out")
    verdict = _verdict(tmp_path / "out")
    assert verdict["severity"] != "ok"
    assert "Leave it" not in verdict["advice"]


@pytest.mark.parametrize("name", ["../secret/x.tfevents", "/etc/passwd", "events/../../x"])
def test_an_index_that_leads_out_of_the_folder_is_not_followed(
    copy: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "job" / "x").write_bytes(b"x" * 10**6)
    for path in copy.glob("index/*/*.json"):
        document = json.loads(path.read_text())
        document["meta"]["event_file_name"] = name
        path.write_text(json.dumps(document))
    with pytest.raises(ExplainError, match="no readable step"):
        explain([copy], tmp_path / "out")


def test_of_many_steps_some_are_read_and_that_is_said(
    trials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imported_index, "MAX_FULL_STEPS", 4)
    answer = explain([trials / "healthy"], tmp_path / "out")
    assert any("4 of 12 saved training steps" in note for note in answer["notes"])
    records = read_evidence(tmp_path / "out").records
    assert len({record.step for record in records if record.collection == "gradients"}) == 4
    assert sum(record.collection == "losses" for record in records) == 18


def write_system(folder: Path, minutes: int = 3, cpu: float = 4.0) -> None:
    """Write files as SageMaker's host agent does: a file a minute, two samples a second."""
    for minute in range(minutes):
        start = MINUTE + 60 * minute
        lines = [
            {"Type": "cpu", "Name": f"cpu{core}", "Dimension": "CPUUtilization",
             "Value": cpu, "NodeId": "algo-1", "Timestamp": start + half / 2}
            for half in range(120) for core in range(2)
        ]  # fmt: skip
        path = folder / "2020060305" / f"{start}.algo-1.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_events(folder: Path) -> None:
    """Write a timeline as smdebug's writer does: 40 steps of 0.1 s, 0.1 s apart."""
    lines: list[dict[str, Any]] = [
        {"name": "process_name", "ph": "M", "pid": 0,
         "args": {"start_time_since_epoch_in_micros": MINUTE * 1_000_000}},
        {"name": "process_name", "ph": "M", "pid": 0, "args": {"name": "Step:ModeKeys.TRAIN"}},
        {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": "Forward"}},
        {"name": "process_name", "ph": "M", "pid": 2, "args": {"name": "DataLoaderIter"}},
    ]  # fmt: skip
    for step in range(40):
        start = 200_000 * step
        named = {"step_num": str(step)}
        lines += [
            {"name": "Step", "pid": 0, "ph": "X", "ts": start, "dur": 100_000, "args": named},
            {"name": "Net", "pid": 1, "ph": "X", "ts": start, "dur": 40_000, "args": named},
            {"name": "GetNext", "pid": 2, "ph": "X", "ts": start + 110_000, "dur": 80_000},
        ]
    path = folder / "2020060305" / f"{MINUTE}_algo-1_model_timeline.json"
    path.parent.mkdir(parents=True)
    path.write_text("[\n" + ",\n".join(map(json.dumps, lines)) + ',\n{"name": "cut o')


def test_the_profilers_files_give_steps_and_system(tmp_path: Path) -> None:
    job = tmp_path / "job"
    write_system(job / "profiler-output/system/incremental")
    write_events(job / "profiler-output/framework/pevents")
    (cut,) = job.rglob(f"{MINUTE}.algo-1.json")
    cut.write_text(cut.read_text() + '{"Type": "cpu", "Na\n[]\n{"Value": 1e999}\n')
    answer = explain([job], tmp_path / "out")
    assert any("lines of system metrics were skipped: 3." in note for note in answer["notes"])
    assert any("lines of framework events were skipped: 1." in note for note in answer["notes"])
    evidence = read_evidence(tmp_path / "out")
    assert [len(series.values) for series in evidence.system] == [360, 360]
    assert evidence.cores == 2
    assert evidence.steps["step"].tolist() == list(range(40))
    assert evidence.steps["forward"].tolist() == pytest.approx([0.04] * 40)
    assert evidence.steps["backward"].tolist() == pytest.approx([0.06] * 40)
    assert evidence.steps["data_wait"].tolist() == pytest.approx([0.0] + [0.08] * 39)
    assert evidence.steps["started"][1] == pytest.approx(MINUTE + 0.2)
    assert _rules(tmp_path / "out")["DataWait"]["status"] == "IssuesFound"
    assert "waits for its images" in _verdict(tmp_path / "out")["sentence"]


def test_the_output_of_our_own_job_is_judged_again_and_not_changed(tmp_path: Path) -> None:
    own = tmp_path / "job" / "training"
    (own / "instrumentation").mkdir(parents=True)
    loss = {"step": 0, "epoch": 1, "mode": "TRAIN", "collection": "losses", "name": "loss"}
    line = json.dumps({**loss, "mean": None, "nan": 1, "inf": 0}) + "\n"
    (own / "instrumentation/reductions.jsonl").write_text(line)
    arguments = {"lr": 0.1, "rules": "Overfit=off"}
    (own / "training.json").write_text(json.dumps({"arguments": arguments}))
    write_system(own / "profiler-output/system/incremental", minutes=1)
    explain([tmp_path / "job"], tmp_path / "out")
    rules = _rules(tmp_path / "out")
    assert rules["ExplodingTensor"]["status"] == "IssuesFound"
    assert rules["Overfit"]["details"]["reason"] == "switched off"
    assert _verdict(tmp_path / "out")["severity"] == "error"
    assert not (own / "instrumentation/rules.json").exists()


def _write_losses(job: Path, first: float) -> Path:
    (job / "instrumentation").mkdir(parents=True)
    (job / "training.json").write_text("{}")
    common = {"epoch": 1, "mode": "TRAIN", "collection": "losses", "name": "loss"}
    lines = [{**common, "step": step, "mean": first / (1 + step)} for step in range(5)]
    text = "".join(json.dumps({**line, "nan": 0, "inf": 0}) + "\n" for line in lines)
    (job / "instrumentation/reductions.jsonl").write_text(text)
    return job


def test_another_job_that_was_the_same_one_is_found(tmp_path: Path) -> None:
    job, twin, stranger = (
        _write_losses(tmp_path / name, first)
        for name, first in (("job", 2.0), ("it's the twin é", 2.0), ("stranger", 1.9))
    )
    others = ["--other", str(stranger), "--other", str(twin)]
    assert main([*others, "--output", str(tmp_path / "out"), str(job)]) == 0
    found = _rules(tmp_path / "out")["SimilarAcrossRuns"]
    assert (found["status"], found["details"]["same"]) == ("IssuesFound", [2])
    explain([job], tmp_path / "alone", others=[stranger])
    assert _rules(tmp_path / "alone")["SimilarAcrossRuns"]["status"] == "NoIssuesFound"


def test_a_folder_with_nothing_of_it_says_what_was_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    assert main([str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert "collections/, index/ and events/" in captured.err
    assert captured.out == ""


def test_several_jobs_are_not_mixed(trials: Path, tmp_path: Path) -> None:
    with pytest.raises(ExplainError, match=r"holds 3 jobs .* give the folder of one"):
        explain([trials], tmp_path / "out")


def test_earlier_explanations_are_passed_over(trials: Path, tmp_path: Path) -> None:
    shutil.copytree(trials / "healthy", tmp_path / "job")
    (tmp_path / "job/explained").mkdir()
    (tmp_path / "job/explained/training.json").write_text("{}")
    assert imported_parts.find_parts([tmp_path / "job"]).own is not None
    (tmp_path / "job/explained" / imported_parts.MARKER_FILE).write_text("{}")
    assert imported_parts.find_parts([tmp_path / "job"]).own is None


def test_choosing_evenly_keeps_both_ends() -> None:
    assert evenly(range(10), 4) == [0, 3, 6, 9]
    assert evenly(range(3), 4) == [0, 1, 2]
    assert len(set(evenly(range(1000), 150))) == 150
    with pytest.raises(ValueError, match="2 or more"):
        evenly([1, 2, 3], 1)
