"""The AWS side from end to end: killed, resumed, compared with this machine's own, cleaned up.

boto3 over HTTP to `whippet api`; S3, STS and IAM at moto. Part of `make test-aws` only: minutes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from platforms import Platform, Settings, connect
from platforms.validation import service_model
from tasks.requests.tags import DIGEST_TAG, EXPIRES_TAG, FLOW_RUN_TAG
from tasks.runs.names import RunIdentity
from tests.aws.roles import create_role
from tests.conftest import AWKWARD
from tests.worlds.job_environment import job_python
from tests.worlds.local.served import client, moto_server
from tests.worlds.pipeline import TINY, Whippet, tiny_data
from tests.worlds.served_api import BUCKET, REGION, ROLE, api_process, environment
from tests.worlds.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.job, pytest.mark.timeout(1800)]

NAME = "same on both"
TAG = "cost-centre"
# A machine may be busy; no outcome depends on it.
_PATIENCE = 600
# Operation, what gives a resource's name in the record.
CREATED = {
    "HyperParameterTuningJob": ("jobs", "tuning"),
    "TrainingJob": ("jobs", "training"),
    "Model": ("endpoint", "model"),
    "EndpointConfig": ("endpoint", "endpoint_config"),
    "Endpoint": ("endpoint", "endpoint"),
}
# The digest is of the places too; a resumed run is another flow run, at another time.
OF_THE_RUN = (DIGEST_TAG, EXPIRES_TAG, FLOW_RUN_TAG)
# What two accounts differ in, by design.
PLACES = {"bucket", "role_arn", "training_image", "inference_image"}


@dataclass(frozen=True, kw_only=True)
class Released:
    """A finished run, and the service that has its resources."""

    whippet: Whippet
    service: Platform
    places: dict[str, str]

    @property
    def record(self) -> dict[str, Any]:
        """The run's record."""
        return self.whippet.record(NAME)

    def request(self, noun: str) -> Any:
        """Return what Create<noun> was sent, with names and places as placeholders."""
        group, key = CREATED[noun]
        operation = "".join(f"_{c.lower()}" if c.isupper() else c for c in noun)
        found = getattr(self.service.sagemaker, f"describe{operation}")(
            **{f"{noun}Name": self.record[group][key]}
        )
        tags = self.service.sagemaker.list_tags(ResourceArn=found[f"{noun}Arn"])["Tags"]
        shape = service_model("sagemaker").operation_model(f"Create{noun}").input_shape
        assert shape is not None
        sent = {member: found[member] for member in shape.members if member in found}
        return self._general({**sent, "Tags": tags})

    def _general(self, value: Any) -> Any:
        run = RunIdentity(**{key: self.record[key] for key in ("name", "token", "flow_run_id")})
        # The tree may have changed between the two runs; that has nothing to do with AWS.
        code = self.record["code"]["digest"][:16]
        words = {**self.places, "prefix": run.prefix, "code": code}
        if isinstance(value, dict):
            if value.get("Key") in OF_THE_RUN:
                return {"Key": value["Key"]}
            return {key: self._general(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._general(each) for each in value]
        # Longest first: one may be part of another.
        for name, text in sorted(words.items(), key=lambda item: -len(item[1])):
            value = value.replace(text, f"<{name}>") if isinstance(value, str) else value
        return value


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a request by their path, so that a difference is one line."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from flat(each, f"{path}.{key}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from flat(each, f"{path}[{index}]")
    else:
        yield path, value


# By itself a data set is named by where it lies, and each side has its own copy.
SAME_NAME = ("--data-name", "my-photos")


def release(whippet: Whippet, data: Path) -> None:
    """Run the pipeline to its end."""
    ended = whippet.run("run", "--name", NAME, "--data", str(data), *SAME_NAME, *TINY)
    assert ended.code == 0, f"{ended.out}\n{ended.err}"


def release_killed_once(whippet: Whippet, data: Path) -> None:
    """Kill the run while its final job trains, then resume it."""
    process = whippet.start("run", "--name", NAME, "--data", str(data), *SAME_NAME, *TINY)
    wait_for(
        lambda: whippet.record(NAME).get("jobs", {}).get("training"), "training job", _PATIENCE
    )
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    ended = whippet.run("run", "--resume", NAME)
    assert ended.code == 0, f"{ended.out}\n{ended.err}"


@pytest.fixture(scope="module")
def aws(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    job_python()
    root = tmp_path_factory.mktemp("aws") / AWKWARD
    home = root / "the service"
    home.mkdir(parents=True)
    with moto_server() as moto, api_process(home, moto, identity=False) as variables:
        place: Any = {"LocationConstraint": REGION}
        client("s3", moto).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        create_role(moto)
        places = {
            "bucket": BUCKET,
            "role_arn": ROLE,
            "training_image": "pytorch-training:2",
            "inference_image": "pytorch-inference:2",
        }
        assert set(places) == PLACES
        extra = {
            **environment(home),
            **variables,
            "WHIPPET_PLATFORM": "aws",
            "WHIPPET_REGION": REGION,
            "WHIPPET_TAGS": f"{TAG}=42",
            **{f"WHIPPET_{name.upper()}": value for name, value in places.items()},
        }
        del extra["WHIPPET_HOME"]
        home_here = root / "whippet home"
        whippet = Whippet(home=home_here, api_url=server_url, extra=extra, seconds=_PATIENCE)
        release_killed_once(whippet, tiny_data(root / "my photos"))
        service = connect(Settings(home=home / "whippet"))
        yield Released(whippet=whippet, service=service, places=places)


@pytest.fixture(scope="module")
def here(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    root = tmp_path_factory.mktemp("here") / AWKWARD
    # Sums of floats depend on how many threads make them: as many as the service's jobs have.
    extra = {"WHIPPET_TAGS": f"{TAG}=42", "OMP_NUM_THREADS": environment(root)["OMP_NUM_THREADS"]}
    whippet = Whippet(home=root / "home", api_url=server_url, extra=extra, seconds=_PATIENCE)
    release(whippet, tiny_data(root / "my photos"))
    defaults = whippet.platform.defaults
    places = {name: str(getattr(defaults, name)) for name in PLACES}
    yield Released(whippet=whippet, service=whippet.platform, places=places)
    whippet.shut_down()


def test_a_killed_run_is_resumed_and_pays_for_nothing_twice(aws: Released) -> None:
    assert aws.record["status"] == "completed"
    jobs = aws.service.sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
    assert {job["TrainingJobName"] for job in jobs} == {
        aws.record["jobs"]["training"],
        aws.record["best"]["training_job"],
    }


@pytest.mark.parametrize("noun", CREATED)
def test_aws_is_sent_what_this_machine_runs(aws: Released, here: Released, noun: str) -> None:
    sent = aws.request(noun)
    assert dict(flat(sent)) == dict(flat(here.request(noun)))
    assert {"Key": TAG, "Value": "42"} in sent["Tags"]


def test_what_is_learned_is_the_same_to_the_last_digit(
    aws: Released, here: Released, show: Callable[[str, str], None]
) -> None:
    ours, theirs = here.record, aws.record
    assert theirs["best"]["hyperparameters"] == ours["best"]["hyperparameters"]
    assert theirs["best"]["objective"] == ours["best"]["objective"]
    assert (
        theirs["training"]["metrics"].items()
        >= {
            name: value
            for name, value in ours["training"]["metrics"].items()
            if "seconds" not in name
        }.items()
    )
    assert theirs["query"]["predictions"] == ours["query"]["predictions"]
    lines = [
        f"{name}: {each['best']['objective']!r}"
        for name, each in (("aws", theirs), ("local", ours))
    ]
    show("killed, resumed and compared: the objective on both sides", "\n".join(lines))


def test_clean_up_leaves_nothing_that_bills(aws: Released, here: Released) -> None:
    # ``here`` is asked for so that all comparisons are done: the endpoints go now.
    ended = aws.whippet.run("clean-up", "--all", "--yes")
    assert ended.code == 0, ended.err
    sagemaker = aws.service.sagemaker
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_models()["Models"] == []
