"""Debugger and profiler as notebooks use them: SDK v2 for the jobs, smdebug for their output."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from platforms import Settings
from tests.sdk.conftest import HERE, Api, program
from tests.worlds.local.served import client
from tests.worlds.served_api import REGION, ROLE

pytestmark = [pytest.mark.slow, pytest.mark.job]

BUCKET = "debugged-bucket"
SOURCE = HERE / "notebooks" / "debugging"
Show = Callable[[str, str], None]


@pytest.fixture(scope="module")
def notebook(api: Api) -> dict[str, Any]:
    """Run the notebook; while its slow job runs, look at that from another one."""
    client("s3", api.s3).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    folder = api.home / "reports"
    folder.mkdir()
    script = [str(HERE / "clients" / "v2_debugger.py"), str(SOURCE), BUCKET, ROLE, str(folder)]
    with subprocess.Popen(
        [program(".venv-sdk2"), *script],
        cwd=api.home,
        env=dict(api.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        printed = []
        live: dict[str, Any] | None = None
        for line in process.stdout:
            printed.append(line)
            if live is None and line.startswith('{"live"'):
                live = look(api, "job", json.loads(line)["live"], REGION)
        complaints = process.stderr.read() if process.stderr else ""
        assert process.wait(60) == 0, "".join(printed)[-4000:] + complaints[-4000:]
    return {**json.loads(printed[-1]), "looked": live}


def look(api: Api, *arguments: str) -> dict[str, Any]:
    """Run smdebug's side in the job environment, which has it."""
    python = str(Settings().job_python)
    printed = api.run([python, str(HERE / "clients" / "notebook_smdebug.py"), *arguments])
    found: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return found


def test_rules_have_a_status_for_any_script(notebook: dict[str, Any], show: Show) -> None:
    rules = notebook["rules"]
    show("rule_job_summary()", json.dumps(rules, indent=1))
    assert notebook["at once"] == ["InProgress"] * 7
    assert notebook["first"] == "VanishingGradient"
    hooked = {name: row[0] for name, row in rules["hooked"].items()}
    final = {"NoIssuesFound", "IssuesFound", "Error"}
    assert set(hooked.values()) <= final
    assert hooked["VanishingGradient"] == "NoIssuesFound"
    assert hooked["LossNotDecreasing"] == "NoIssuesFound"
    assert hooked["ProfilerReport"] in ("NoIssuesFound", "IssuesFound")
    assert rules["plain"] == {}
    assert rules["without"]["LossNotDecreasing"][0] == "Error"
    assert "No debugging data was saved" in rules["without"]["LossNotDecreasing"][1]
    for rows in rules.values():
        for row in rows.values():
            assert ":processing-job/" in row[2]


def test_the_report_is_where_notebooks_look_for_it(notebook: dict[str, Any]) -> None:
    for report in notebook["reports"].values():
        assert "profiler-output/profiler-reports/OverallSystemUsage.json" in report["listed"]
        assert report["head"].lower().startswith("<!doctype html>")
        assert "/ProfilerReport/profiler-output/" in report["page"]
    reports = Path(notebook["reports"]["hooked"]["page"]).parent / "profiler-reports"
    steps = json.loads((reports / "OverallFrameworkMetrics.json").read_text("utf-8"))
    assert steps["Datapoints"] > 0, "the steps that smdebug's framework profiling saw"


def test_the_output_is_laid_out_as_sagemakers(notebook: dict[str, Any]) -> None:
    for name, keys in notebook["keys"].items():
        assert "debug-output/training_job_end.ts" in keys, name
        assert "profiler-output/training_job_end.ts" in keys, name
        assert any(key.startswith("profiler-output/system/incremental/") for key in keys), name
    assert any(key.startswith("debug-output/index/") for key in notebook["keys"]["plain"])
    assert any("pevents/" in key for key in notebook["keys"]["hooked"])


def test_tensors_of_the_hook_are_read(api: Api, notebook: dict[str, Any]) -> None:
    found = look(api, "trial", notebook["artifacts"]["hooked"])
    assert "CrossEntropyLoss_output_0" in found["names"]
    assert "gradient/Sequential_4.weight" in found["names"]
    assert found["train"] == 8, "every second of 2 x 8 steps"
    assert found["steps"]["EVAL"] == 8
    assert found["losses"][-1] < found["losses"][0]
    assert found["ended"] is True
    assert found["seconds"] < 60


def test_a_script_without_a_hook_saves_its_losses(api: Api, notebook: dict[str, Any]) -> None:
    found = look(api, "trial", notebook["artifacts"]["plain"])
    assert found["names"] == ["CrossEntropyLoss_output_0"]
    assert found["global"] == 1, "one in 500, as by AWS's default"


def test_the_profiler_is_read_while_the_job_runs_and_after(
    api: Api, notebook: dict[str, Any]
) -> None:
    live = notebook["looked"]
    assert live["status"] == "InProgress"
    assert live["waited"] < 60
    found = look(api, "job", notebook["jobs"]["hooked"], REGION, "framework")
    assert ["cpu", "CPUUtilization"] in found["kinds"]
    assert found["nodes"] == ["algo-1"]
    assert any(phase.startswith("Step:ModeKeys.TRAIN") for phase in found["framework"])
