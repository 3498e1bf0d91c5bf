"""What runs somebody else's code gets none of our secrets: jobs, trials, model servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from platforms.local.connection import connect_local
from platforms.local.context import LocalContext
from platforms.local.hosting.endpoints import Endpoints
from platforms.local.hosting.runtime import LocalRuntime
from tests.worlds.canaries import PLANTED, found_in
from tests.worlds.local.jobs import Jobs
from tests.worlds.local.searches import continuous, ended, trials
from tests.worlds.local.serving import make_config, serving_context, wait_for_endpoint

pytestmark = pytest.mark.slow

# Its whole environment, as far as a process can look: its own, and that of what started it.
_TELL = """
import json, os, pathlib
print("environment:", json.dumps(dict(os.environ)))
for started in ("self", os.getppid()):
    try:
        print(repr(pathlib.Path(f"/proc/{started}/environ").read_bytes()))
    except OSError:
        pass
print('"valid:loss": 0.5', flush=True)
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    for name, secret in PLANTED.items():
        monkeypatch.setenv(name, secret)
    with serving_context(tmp_path, warm_start="off") as context:
        yield Jobs(platform=connect_local(context.settings))


def start_search(jobs: Jobs) -> str:
    definition = jobs.request("unused", _TELL)
    del definition["TrainingJobName"]
    static = definition.pop("HyperParameters")
    jobs.platform.sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="search",
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "valid:loss"},
            "ResourceLimits": {"MaxParallelTrainingJobs": 1, "MaxNumberOfTrainingJobs": 1},
            "ParameterRanges": continuous(),
        },
        TrainingJobDefinition={
            **definition,
            "StaticHyperParameters": {name: json.dumps(value) for name, value in static.items()},
        },
    )
    return "search"


def start_server(context: LocalContext) -> str:
    make_config(context, "server", "fine")
    Endpoints(context).create_endpoint(EndpointName="server", EndpointConfigName="server")
    return "server"


def environment_of_server(context: LocalContext, name: str) -> dict[str, Any]:
    wait_for_endpoint(context, name)
    answer = LocalRuntime(context).invoke_endpoint(
        EndpointName=name, Body=b"", ContentType="text/environment"
    )
    found: dict[str, Any] = json.loads(answer["Body"].read())
    return found


def test_jobs_see_no_credentials(jobs: Jobs) -> None:
    context = jobs.context
    jobs.start("job", _TELL)
    search, server = start_search(jobs), start_server(context)
    assert jobs.wait("job")["TrainingJobStatus"] == "Completed", jobs.log("job")
    assert ended(context, search)["HyperParameterTuningJobStatus"] == "Completed"
    (trial,) = trials(context, search)
    seen = {
        "a training job": jobs.log("job"),
        "a trial": jobs.log(trial["TrainingJobName"]),
        "a model server": json.dumps(environment_of_server(context, server)),
    }
    for text in seen.values():
        assert "PYTHONUNBUFFERED" in text, "it told its environment"
    assert {who: found_in(text.encode()) for who, text in seen.items()} == {who: [] for who in seen}
