"""Rules of a request: from InProgress to a status of their own, whatever the job was."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from platforms.local.connection import connect_local
from platforms.local.debugger.rule_statuses import RuleStatus, closed, first_statuses, with_statuses
from platforms.processes.process import ProcessId
from platforms.validation import service_model
from tests.worlds.job_environment import job_python
from tests.worlds.local.jobs import Jobs, local_jobs, local_settings
from tests.worlds.waiting import wait_for

OUTPUT = "s3://whippet-local/jobs"
HOOK = {
    "S3OutputPath": OUTPUT,
    "HookParameters": {"save_interval": "1"},
    "CollectionConfigurations": [{"CollectionName": "losses"}, {"CollectionName": "gradients"}],
}
PROFILER = {"S3OutputPath": OUTPUT, "ProfilingIntervalInMilliseconds": 100}
# A stranger's: the learning rate is nothing, so that the loss stands still.
STANDING = """
import torch
from torch import nn
import smdebug.pytorch as smd
torch.manual_seed(0)
torch.set_num_threads(1)
hook = smd.Hook.create_from_json_file()
model, criterion = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), nn.CrossEntropyLoss()
hook.register_module(model)
hook.register_loss(criterion)
optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
inputs, labels = torch.randn(8, 4), torch.arange(8) % 3
for _ in range(40):
    optimizer.zero_grad()
    criterion(model(inputs), labels).backward()
    optimizer.step()
"""


def rule(name: str, invoked: str | None = None, **parameters: str) -> dict[str, Any]:
    """Return a rule configuration as SDK v2 makes them."""
    return {
        "RuleConfigurationName": name,
        "RuleEvaluatorImage": "503895931360.dkr.ecr.us-east-1.amazonaws.com/rules:latest",
        "RuleParameters": {"rule_to_invoke": invoked or name, **parameters},
    }


def statuses(job: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return status and details by name."""
    rows = [*job.get("DebugRuleEvaluationStatuses", []), *job["ProfilerRuleEvaluationStatuses"]]
    return {
        row["RuleConfigurationName"]: (row["RuleEvaluationStatus"], row.get("StatusDetails", ""))
        for row in rows
    }


@pytest.mark.job
def test_a_strangers_script_is_judged_by_the_rules_of_its_request(tmp_path: Path) -> None:
    python = job_python()
    home = tmp_path / 'it\'s "home" é'
    jobs = Jobs(platform=connect_local(local_settings(home, job_python=python)))
    job = jobs.run(
        "job",
        STANDING,
        DebugHookConfig=HOOK,
        ProfilerConfig=PROFILER,
        DebugRuleConfigurations=[
            rule("MyLoss", "LossNotDecreasing", num_steps="10"),
            rule("VanishingGradient", threshold="1000", made_up="1"),
            rule("ExplodingTensor"),
            rule("DeadRelu"),
            rule("TreeDepth"),
            rule("Mine", source_s3_uri="s3://whippet-local/rule.py"),
        ],
        ProfilerRuleConfigurations=[
            rule("ProfilerReport", MaxInitializationTime_threshold="0"),
            rule("LowGPUUtilization"),
        ],
    )
    assert job["TrainingJobStatus"] == "Completed", jobs.log("job")
    found = statuses(job)
    assert found["MyLoss"][0] == "IssuesFound"
    assert found["MyLoss"][1].startswith(
        "RuleEvaluationConditionMet: Evaluation of the rule LossNotDecreasing at step "
    )
    assert found["VanishingGradient"][0] == "IssuesFound"
    assert "Not used on this platform: made_up." in found["VanishingGradient"][1]
    assert found["ExplodingTensor"] == ("NoIssuesFound", "")
    assert found["DeadRelu"][0] == "Error"
    assert "no relu_output were recorded" in found["DeadRelu"][1]
    assert found["TreeDepth"][0] == "Error"
    assert "no rule TreeDepth" in found["TreeDepth"][1]
    assert found["Mine"][0] == "Error"
    assert "custom rules are not run" in found["Mine"][1]
    assert found["ProfilerReport"][0] in ("IssuesFound", "NoIssuesFound")
    assert found["LowGPUUtilization"][0] == "NoIssuesFound"
    assert "was not judged: the job has no GPU" in found["LowGPUUtilization"][1]
    assert job["TrainingEndTime"] < job["LastModifiedTime"]
    output = jobs.context.buckets.path(f"{OUTPUT}/job/rule-output")
    _check_report(output / "ProfilerReport" / "profiler-output")
    only = output / "LowGPUUtilization" / "profiler-output"
    assert [path.name for path in only.rglob("*.*")] == ["LowGPUUtilization.json"]


def _check_report(folder: Path) -> None:
    page = (folder / "profiler-report.html").read_text("utf-8")
    assert "LossNotDecreasing" in page
    assert "job" in page
    assert json.loads((folder / "profiler-report.ipynb").read_text())["nbformat"] == 4
    names = sorted(path.stem for path in (folder / "profiler-reports").iterdir())
    assert names == [
        *("BatchSize", "CPUBottleneck", "Dataloader", "GPUMemoryIncrease", "IOBottleneck"),
        *("LoadBalancing", "LowGPUUtilization", "MaxInitializationTime"),
        *("OverallFrameworkMetrics", "OverallSystemUsage", "StepOutlier"),
    ]
    usage = json.loads((folder / "profiler-reports/OverallSystemUsage.json").read_text())
    assert usage["Datapoints"] > 0
    assert {"RuleTriggered", "Violations", "Details", "RuleParameters"} < usage.keys()
    started = json.loads((folder / "profiler-reports/MaxInitializationTime.json").read_text())
    assert "threshold:0" in started["RuleParameters"]


def test_statuses_begin_in_progress_and_fit_the_services_model(tmp_path: Path) -> None:
    request = {
        "TrainingJobName": "a" * 63,
        "ProfilerRuleConfigurations": [rule("A rule, called é", "ProfilerReport")],
    }
    (row,) = first_statuses(request, "arn:aws:sagemaker:local:000000000000:processing-job/")[
        "ProfilerRuleEvaluationStatuses"
    ]
    assert row["RuleEvaluationStatus"] == "InProgress"
    shape = service_model("sagemaker").shape_for("ProfilerRuleEvaluationStatus")
    arn = shape.members["RuleEvaluationJobArn"]  # type: ignore[attr-defined]
    assert __import__("re").fullmatch(arn.metadata["pattern"], row["RuleEvaluationJobArn"])


def test_details_are_one_line_and_final_statuses_stay() -> None:
    record = first_statuses({"TrainingJobName": "j", "DebugRuleConfigurations": [rule("A")]}, "")
    found = {"A": RuleStatus(status="IssuesFound", details="first\n second " + "x" * 2000)}
    (row,) = with_statuses(record, found)["DebugRuleEvaluationStatuses"]
    assert row["StatusDetails"].startswith("first second xxx")
    assert len(row["StatusDetails"]) == 1024
    again = closed({"DebugRuleEvaluationStatuses": [row]}, RuleStatus(status="Error"))
    assert again["DebugRuleEvaluationStatuses"] == [row]


@pytest.mark.slow
def test_rules_of_a_killed_supervisor_are_an_error(tmp_path: Path) -> None:
    jobs = local_jobs(tmp_path)
    jobs.start(
        "job",
        "import time; print('up'); time.sleep(300)",
        ProfilerConfig=PROFILER,
        ProfilerRuleConfigurations=[rule("ProfilerReport")],
    )
    jobs.wait_for_line("job", "up")
    assert statuses(jobs.describe("job"))["ProfilerReport"] == ("InProgress", "")
    record = jobs.context.records.read("training-jobs", "job")
    os.kill(ProcessId.from_record(record["Local"]["Supervisor"]).pid, signal.SIGKILL)
    job = jobs.wait("job")
    assert job["TrainingJobStatus"] == "Failed"
    status, details = statuses(job)["ProfilerReport"]
    assert status == "Error"
    assert "evaluates the rules ended" in details
    end = jobs.context.buckets.path(f"{OUTPUT}/job/profiler-output/training_job_end.ts")
    assert end.is_file()


def test_rules_of_a_job_that_never_ran_are_stopped(tmp_path: Path) -> None:
    jobs = local_jobs(tmp_path)
    request = jobs.request(
        "job",
        "print()",
        DebugHookConfig=HOOK,
        ProfilerConfig=PROFILER,
        ProfilerRuleConfigurations=[rule("ProfilerReport")],
    )
    archive = jobs.context.buckets.path("s3://whippet-local/code")  # type: ignore[attr-defined]
    next(archive.glob("*.tar.gz")).write_bytes(b"no archive")
    jobs.platform.sagemaker.create_training_job(**request)
    job = jobs.wait("job")
    assert job["TrainingJobStatus"] == "Failed"

    def ended() -> tuple[str, str] | None:
        # Rules end after their job, here as with the service.
        status, details = statuses(jobs.describe("job"))["ProfilerReport"]
        return None if status == "InProgress" else (status, details)

    status, details = wait_for(ended, "end of the rule")
    assert status == "Stopped"
    assert "before there was anything to evaluate" in details
    there = jobs.context.buckets.path(f"{OUTPUT}/job")  # type: ignore[attr-defined]
    wait_for((there / "debug-output/training_job_end.ts").is_file, "end of the output")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DebugRuleConfigurations": [rule("A"), rule("A")]}, "'A' is given 2 times"),
        ({"DebugRuleConfigurations": [rule("../A")]}, "'../A' cannot be the name of a folder"),
        (
            {"ProfilerRuleConfigurations": [{**rule("A"), "S3OutputPath": "s3://B/../c"}]},
            "s3://bucket/key",
        ),
        (
            {"ProfilerConfig": {"ProfilingIntervalInMilliseconds": 250}},
            "ProfilingIntervalInMilliseconds 250 is not one of 100, 200, 500, 1000, 5000, 60000",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    jobs = local_jobs(tmp_path)
    with pytest.raises(ClientError, match="ValidationException") as raised:
        jobs.start("job", "print()", **changes)
    assert message in str(raised.value)
    assert not jobs.folder("job").exists()


@pytest.mark.slow
def test_members_without_effect_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    jobs = local_jobs(tmp_path)
    stopping = {**rule("Overfit", action_json="[]"), "InstanceType": "ml.t3.medium"}
    job = jobs.run("job", "print()", DebugRuleConfigurations=[stopping])
    assert "DebugRuleConfigurations[Overfit].RuleParameters.action_json" in caplog.text
    assert "DebugRuleConfigurations[Overfit].InstanceType" in caplog.text
    # Judged by an interpreter without torch: said, and the job is what it was.
    assert job["TrainingJobStatus"] == "Completed"
    (row,) = job["DebugRuleEvaluationStatuses"]
    assert row["RuleEvaluationStatus"] == "Error"
    assert row["StatusDetails"].startswith("InternalServerError: the evaluation failed: ")
