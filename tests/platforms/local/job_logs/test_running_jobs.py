from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from platforms.local.job_logs.streams import TRAINING
from tests.worlds.local.jobs import Jobs, local_jobs

pytestmark = pytest.mark.slow


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return local_jobs(tmp_path / "home é")


def events(jobs: Jobs, name: str, **request: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = jobs.platform.logs.filter_log_events(
            logGroupName=TRAINING.name, logStreamNamePrefix=f"{name}/", **request, **token
        )
        found += page["events"]
        if "nextToken" not in page:
            return found
        token = {"nextToken": page["nextToken"]}


def test_pages_of_lines(jobs: Jobs) -> None:
    jobs.run("job", "for n in range(7): print('line é', n)\nprint('end', end='')")
    found = events(jobs, "job")
    assert [each["message"] for each in found][-8:] == [f"line é {n}" for n in range(7)] + ["end"]
    assert events(jobs, "job", limit=3) == found
    assert len({each["eventId"] for each in found}) == len(found)
    assert all(1.7e12 < each["timestamp"] < 4e12 for each in found)
    assert events(jobs, "job", startTime=found[-1]["timestamp"] + 1) == []


def test_following_a_running_job_loses_and_repeats_nothing(jobs: Jobs) -> None:
    script = "import time\nfor n in range(12): print('n', n); time.sleep(0.1)"
    jobs.start("job", script)
    seen: dict[str, str] = {}
    start = 0
    while True:
        ended = jobs.describe("job")["TrainingJobStatus"] == "Completed"
        for event in events(jobs, "job", startTime=start):
            assert seen.get(event["eventId"], event["message"]) == event["message"]
            seen[event["eventId"]] = event["message"]
            start = max(start, event["timestamp"])
        if ended:
            break
    lines = [message for message in seen.values() if message.startswith("n ")]
    assert lines == [f"n {n}" for n in range(12)]


def test_unknown_names(jobs: Jobs) -> None:
    for request in (
        {"logGroupName": TRAINING.name, "logStreamNamePrefix": "before the first job"},
        {"logGroupName": "/other", "logStreamNamePrefix": "nobody"},
        {"logGroupName": TRAINING.name},
    ):
        with pytest.raises(ClientError) as raised:
            jobs.platform.logs.filter_log_events(**request)
        assert raised.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_the_log_group_that_errors_of_models_name_leads_to_a_file(jobs: Jobs) -> None:
    endpoint = jobs.platform.settings.home / "endpoints" / "mine"
    endpoint.mkdir(parents=True)
    (endpoint / "record.json").write_text("{}", "utf-8")
    group = "/aws/sagemaker/Endpoints/"
    with pytest.raises(ClientError, match=r"mine/deployments/\*/server\.log"):
        jobs.platform.logs.describe_log_streams(logGroupName=group + "mine")
    with pytest.raises(ClientError, match="there are '/aws/sagemaker/TrainingJobs'"):
        jobs.platform.logs.describe_log_streams(logGroupName=group + "nobody")
