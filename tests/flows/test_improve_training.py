"""An improvement for real: its job on the local platform, started from the command line."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from platforms.settings import PROJECT_ROOT
from tasks.job_environment.source import package_source, upload_source
from tasks.runs.names import folder_name
from tests.conftest import AWKWARD
from tests.worlds.improvements import write_run
from tests.worlds.local.jobs import Jobs, local_jobs
from tests.worlds.pipeline import Whippet, ended, tiny_data
from tests.worlds.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.job]

RUN = "it's a «run»"
CHANGE = {"cache_features": "true"}
HYPERPARAMETERS = {
    "model": "mobilenet_v3_small",
    "image_size": "32",
    "batch_size": "8",
    "trainable": "head",
    "weights": "none",
    "threads": "1",
    "epochs": "3",
    "instrumentation": "on",
}


@pytest.fixture(scope="module")
def whippet(server_url, tmp_path_factory) -> Iterator[Whippet]:
    """A home with a run whose training job ran another program: training is not our matter."""
    root = tmp_path_factory.mktemp("improve") / AWKWARD
    extra = {"WHIPPET_TAGS": "cost-centre=42"}
    made = Whippet(home=root / "whippet home", api_url=server_url, extra=extra)
    try:
        _train(made, tiny_data(root / "data"))
        yield made
    finally:
        made.shut_down()


def _train(whippet: Whippet, data: Path) -> None:
    jobs, bucket = local_jobs(whippet.home), whippet.platform.defaults.bucket
    store = whippet.platform.store(bucket)
    for path in data.rglob("*.jpg"):
        store.put(f"whippet/datasets/d/{path.relative_to(data)}", path.read_bytes())
    uri = upload_source(package_source(PROJECT_ROOT), store, bucket, "whippet")
    run = write_run(
        whippet.home,
        RUN,
        verdict={"sentence": "Each epoch sees the same features.", "change": CHANGE},
        training={"epochs_run": 300, "cached_features": False},
    )
    # The program prints and ends; the platform is the only one who has to know the request.
    asked = jobs.request(f"{run.prefix}-train", "print('trained')")
    base = f"s3://{bucket}/whippet/datasets/d"
    channels = [_channel(split, f"{base}/{split}/") for split in ("train", "valid", "test")]
    whippet.platform.sagemaker.create_training_job(
        **{
            **asked,
            "InputDataConfig": channels,
            "HyperParameters": {**asked["HyperParameters"], **HYPERPARAMETERS},
            "StoppingCondition": {"MaxRuntimeInSeconds": 300},
        }
    )
    assert jobs.wait(f"{run.prefix}-train")["TrainingJobStatus"] == "Completed"
    assert uri.startswith("s3://")


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


def record_prefix(found: dict[str, Any]) -> str:
    return found["job"].partition("-improve-")[0]


def test_a_verdict_is_followed_measured_and_kept(whippet, server_url):
    done = whippet.run("improve", RUN, "--seconds", "6")
    assert done.code == 0, done.err
    folder = whippet.home / "runs" / folder_name(RUN)
    found = json.loads((folder / "improvement.json").read_text("utf-8"))
    assert found["decision"] == "kept", found["reason"]
    sagemaker = whippet.platform.sagemaker
    job = sagemaker.describe_training_job(TrainingJobName=found["job"])
    tags = sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert {"Key": "cost-centre", "Value": "42"} in tags
    assert found["comparison"]["before"] == {"cache_features": "false"}
    assert found["comparison"]["job"]["epochs"] == 300
    assert found["saved"]["seconds"] > 0
    assert found["saved"]["usd"] > 0
    record = whippet.record(folder_name(RUN))
    assert record["improved_hyperparameters"] == CHANGE
    assert record["improvement"]["decision"] == "kept"
    assert record["jobs"]["improve"] == found["job"]
    assert record["status"] == "running", "an improvement does not end the run that it improves"
    assert "whippet run … --set cache_features=true" in done.out
    assert "as trained" in done.out
    assert "not confirmed by AWS" in done.out
    assert "the changed variant takes 0." in done.err
    chosen = {"artifacts": {"key": {"any_": ["improvement"]}}}
    (artifact,) = httpx.post(f"{server_url}/artifacts/filter", json=chosen).json()
    assert "data:image/svg+xml" in artifact["data"]
    assert record["ledger"][found["job"]]["stage"] == "improve"
    assert record["ledger"][f"{record_prefix(found)}-train"]["stage"] == "train"
    ended = {"artifacts": {"key": {"any_": ["run-costs", "still-billing"]}}}
    # Other tests' flows use this server, too.
    costs, billing = sorted(
        (
            each
            for each in httpx.post(f"{server_url}/artifacts/filter", json=ended).json()
            if each["flow_run_id"] == artifact["flow_run_id"]
        ),
        key=lambda each: each["key"],
    )
    assert found["job"] in costs["data"]
    assert "would have cost" in costs["description"]
    assert billing["description"] == "nothing is billing any more"
    assert artifact["flow_run_id"] is not None
    assert "nothing is billing any more" in done.err
    # Asked again, the finished job is adopted.
    jobs = whippet.jobs()
    again = whippet.run("improve", RUN, "--seconds", "6")
    assert again.code == 0, again.err
    assert whippet.jobs() == jobs
    assert again.out == done.out


def test_an_interrupted_improvement_stops_its_job(whippet):
    before = set(whippet.jobs())
    process = whippet.start("improve", RUN, "--seconds", "600", "--pairs", "200")

    def job() -> str | None:
        return next(iter(set(whippet.jobs()) - before), None)

    try:
        name = wait_for(job, "comparison job")
    finally:
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.code == 130, done.err
    assert f"stopped {name}" in done.err
    jobs = Jobs(platform=whippet.platform)
    # What was measured until then is written: a stop is no failure.
    assert jobs.wait(name)["TrainingJobStatus"] == "Stopped"
