from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sm_entrypoints.rules.catalogue import RULES
from sm_entrypoints.rules.judgement import announce_verdict, judge, judge_evidence, plain
from tests.sm_entrypoints.rules.cases import evidence, steps

WAITING = steps(phases=(0.06, 0.001, 0.03, 0.06, 0.002))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An output folder of a job that waited for its data."""
    made = tmp_path / "l'été 1"
    (made / "instrumentation").mkdir(parents=True)
    lines = [",".join(WAITING)]
    lines += [",".join(map(str, row)) for row in zip(*WAITING.values(), strict=True)]
    (made / "instrumentation/steps.csv").write_text("\n".join(lines) + "\n")
    (made / "training.json").write_text("{}")
    return made


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_everything_is_written_in_its_schema(folder: Path) -> None:
    verdict = judge(folder)
    rules = read(folder / "instrumentation/rules.json")
    assert rules["stopped_by"] is None
    order = [(-rule["triggered"], rule["rule"]) for rule in rules["rules"]]
    assert order == sorted(order)
    assert len(order) == len(RULES)
    waited = next(rule for rule in rules["rules"] if rule["rule"] == "DataWait")
    assert waited["status"] == "IssuesFound"
    assert set(waited) == {
        *("rule", "kind", "status", "triggered", "violations", "datapoints", "description"),
        *("threshold", "recommendation", "parameters", "details", "marks", "action"),
    }
    report = read(folder / "profiler-output/profiler-reports/DataWait.json")
    assert set(report) == {
        *("RuleTriggered", "Violations", "Details", "Datapoints", "RuleParameters")
    }
    assert report["RuleParameters"] == "percent:10\nmin_seconds:0.5\nmin_steps:10"
    assert read(folder / "instrumentation/verdict.json") == plain(verdict.document())
    assert verdict.finding.rule == "DataWait"


def test_a_rule_that_has_nothing_to_look_at_says_its_thresholds(folder: Path) -> None:
    judge(folder)
    # As in the reports that SageMaker writes for jobs without a GPU.
    report = read(folder / "profiler-output/profiler-reports/BatchSize.json")
    assert (report["RuleTriggered"], report["Datapoints"]) == (0, 0)
    assert report["RuleParameters"].splitlines() == [
        *("cpu_threshold_p95:70", "gpu_threshold_p95:70", "gpu_memory_threshold_p95:70"),
        *("patience:1000", "window:500"),
    ]


def test_a_rule_that_stopped_the_job_is_named(folder: Path) -> None:
    stopped = {"rule": "AllZero", "step": 3, "epoch": 1, "mode": "TRAIN", "message": "zeros"}
    (folder / "training.json").write_text(json.dumps({"stopped_by": stopped}))
    verdict = judge(folder)
    assert read(folder / "instrumentation/rules.json")["stopped_by"] == stopped
    assert verdict.finding.rule == "AllZero"
    assert "DataWait" in {other.rule for other in verdict.others}


def test_a_rule_can_be_switched_off_or_have_other_thresholds(folder: Path) -> None:
    off = judge(folder, actions={"DataWait": "off"})
    assert off.finding.rule != "DataWait"
    row = next(
        row
        for row in read(folder / "instrumentation/rules.json")["rules"]
        if row["rule"] == "DataWait"
    )
    assert (row["action"], row["details"]) == ("off", {"reason": "switched off"})
    lenient = judge(folder, parameters={"DataWait": {"percent": 90}})
    assert lenient.finding.rule != "DataWait"


def test_a_rule_that_fails_does_not_apply() -> None:
    torn = {"pid": np.array([1.0]), "started": np.array([2.0])}
    judged = judge_evidence(evidence(workers=torn))
    failed = next(result for result in judged.results if result.rule == "Dataloader")
    assert failed.status == "NotApplicable"
    assert "the rule failed: KeyError" in failed.details["reason"]
    assert judged.verdict.finding.severity == "ok"


def test_the_verdict_is_announced_with_its_change(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    announce_verdict(folder)
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("verdict: Training waits for its images")
    # What cannot be judged is said, and ends nothing.
    file = tmp_path / "a file"
    file.write_text("")
    announce_verdict(file)
    assert "the verdict switched off" in capsys.readouterr().out


def test_a_failing_disk_leaves_whole_files_or_none(folder: Path) -> None:
    judge(folder)
    before = (folder / "instrumentation/rules.json").read_text()
    (folder / "profiler-output/profiler-reports/AllZero.json").unlink()
    (folder / "profiler-output/profiler-reports/AllZero.json").mkdir()
    with pytest.raises(OSError, match="AllZero"):
        judge(folder)
    assert (folder / "instrumentation/rules.json").read_text() == before


def test_plain_values() -> None:
    value = {1: np.float64(2.5), "b": [float("nan"), np.int64(3), (np.bool_(True), None)]}
    assert plain(value) == {"1": 2.5, "b": [None, 3, [True, None]]}
