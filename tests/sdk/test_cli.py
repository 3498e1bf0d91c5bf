"""The AWS CLI over `whippet api`: logs, metrics, search, and who one is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sdk.conftest import Api, Inputs, program
from tests.sdk.jobs import train, upload_code
from tests.worlds.local.served import client

pytestmark = [pytest.mark.slow, pytest.mark.job]

GROUP = ("--log-group-name", "/aws/sagemaker/TrainingJobs")


def test_the_cli_reads_logs_metrics_and_finds_jobs(api: Api, inputs: Inputs) -> None:
    submitted = upload_code(api)
    for name in ("cli-one", "cli-two"):
        train(api, name, submitted, inputs.data)
    waiter = client("sagemaker", api.url).get_waiter("training_job_completed_or_stopped")
    for name in ("cli-one", "cli-two"):
        waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})

    def aws(*arguments: str) -> Any:
        return json.loads(api.run([program(".venv-sdk2", "aws"), *arguments, "--output", "json"]))

    groups = aws("logs", "describe-log-groups", "--log-group-name-prefix", "/aws/sagemaker")
    assert [each["logGroupName"] for each in groups["logGroups"]] == [GROUP[1]]
    newest = ("--order-by", "LastEventTime", "--descending", "--max-items", "1")
    (stream,) = aws("logs", "describe-log-streams", *GROUP, *newest)["logStreams"]
    assert stream["logStreamName"] in {"cli-one/algo-1", "cli-two/algo-1"}
    prefix = ("--log-stream-name-prefix", "cli-")
    pattern = ("--filter-pattern", '"valid_loss=" -arguments')
    found = aws("logs", "filter-log-events", *GROUP, *prefix, *pattern, "--interleaved")["events"]
    assert {each["logStreamName"] for each in found} == {"cli-one/algo-1", "cli-two/algo-1"}
    assert all("valid_loss=" in each["message"] for each in found)
    times = [each["timestamp"] for each in found]
    assert times == sorted(times)
    assert aws("cloudwatch", "list-metrics", "--namespace", GROUP[1])["Metrics"] == []
    expression = {"Filters": [{"Name": "TrainingJobName", "Operator": "Contains", "Value": "two"}]}
    searched = aws(
        *("sagemaker", "search", "--resource", "TrainingJob"),
        *("--search-expression", json.dumps(expression)),
    )
    assert [each["TrainingJob"]["TrainingJobName"] for each in searched["Results"]] == ["cli-two"]
    warm = ("--warm-pool-status-equals", "Available")
    assert aws("sagemaker", "list-training-jobs", *warm)["TrainingJobSummaries"] == []
    assert aws("sts", "get-caller-identity")["Account"] == "000000000000"
