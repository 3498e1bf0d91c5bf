"""The whole flow under the policies that `whippet iam` prints, and without each single action.

One real run of the whole pipeline first: the user's calls pass a front that enforces the policy,
S3 is moto with IAM enforced, and jobs use the execution role's credentials. Then, for each action,
the first step that needs it is run without it (sync, tune, train, deploy, logs, stop, clean-up: the
product's own flows and commands) over the same wire. There the jobs are those of the real run
(tests/aws/recorded.py): a training for each of thirty actions would take an hour and say nothing
more about permissions. What moto does not serve (prices, quotas) and what needs none of the user's
own actions is not judged. Five minutes.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from tasks.permissions.policy_documents import chosen
from tasks.permissions.table import USER
from tests.aws.account import BUCKET, Account, account, role_policy, user_policy
from tests.aws.enforcement import REGION, Front, serving
from tests.aws.recorded import RecordedSageMaker, Recording, keep, roles_without_an_action
from tests.worlds.job_environment import job_python
from tests.worlds.pipeline import tiny_data
from tests.worlds.served_api import api_process

pytestmark = [pytest.mark.slow, pytest.mark.job, pytest.mark.timeout(2400)]

LINE = "{:<52} {:<10} {}"


@dataclass(kw_only=True)
class World:
    """An account, a front before SageMaker, and the flow of a user with a policy."""

    root: Path
    account: Account
    front: Front
    recording: Recording = field(default_factory=Recording)
    service: RecordedSageMaker | None = None
    used: dict[str, list[str]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    runs: int = 0

    @property
    def data(self) -> Path:
        return self.root / "photos"

    def allow(self, policy: dict[str, Any]) -> None:
        self.front.policy = policy
        self.account.allow_user(_for_moto(policy))

    def release(self) -> dict[str, Any]:
        """Run the whole pipeline under the policy."""
        from flows.release_model import release_model

        self.runs += 1
        named = release_model.with_options(flow_run_name=f"try {self.runs}")
        data, model, tuning = self._choices()
        record: dict[str, Any] = named(data=data, model=model, tuning=tuning)
        return record

    def tune(self) -> None:
        """Search hyperparameters, on data that is there."""
        from flows.tune_model import tune_model

        self.runs += 1
        tune_model.with_options(flow_run_name=f"try {self.runs}")(*self._choices())

    def train(self) -> None:
        """Train without a search, on data that is there."""
        from flows.train_model import train_model

        self.runs += 1
        train_model.with_options(flow_run_name=f"try {self.runs}")(*self._choices()[:2])

    def deploy(self) -> None:
        """Deploy and test the model of a finished training job."""
        from flows.deploy_model import deploy_model

        assert self.service is not None
        self.runs += 1
        named = deploy_model.with_options(flow_run_name=f"try {self.runs}")
        named(self.service.trained_before())

    def _choices(self) -> tuple[Any, Any, Any]:
        from tasks.parameters.ranges import ContinuousRange
        from tasks.parameters.run import DataParameters, ModelParameters, TuningParameters

        search = {"lr": ContinuousRange(min=1e-3, max=1e-2)}
        return (
            DataParameters(path=str(self.data)),
            ModelParameters(architecture="mobilenet_v3_small", weights="none", image_size=32),
            TuningParameters(max_jobs=1, max_epochs=2, ranges=search),
        )

    def sync_again(self) -> None:
        """Bring a data set up to date that lost an image."""
        from flows.sync_data import sync_data
        from tasks.parameters.run import DataParameters, ModelParameters

        fewer = self.root / "fewer"
        shutil.rmtree(fewer, ignore_errors=True)
        shutil.copytree(self.data, fewer)
        model = ModelParameters(weights="none")
        sync_data(DataParameters(path=str(fewer)), model)
        next(path for path in sorted(fewer.rglob("*.*")) if "train" in path.parts).unlink()
        sync_data(DataParameters(path=str(fewer), delete_removed=True), model)

    def logs(self) -> None:
        from platforms import connect
        from tasks.requests.logs import log_text

        log_text(connect(), "some-job")

    def stop(self) -> None:
        """Stop the jobs of an interrupted run."""
        from platforms import connect
        from tasks.requests.stop import stop_run
        from tasks.runs.names import RunIdentity

        run = RunIdentity(name="going on", token="abcdef", flow_run_id="x")
        assert self.service is not None
        for kind, noun, step in (
            ("hyper_parameter_tuning_job", "HyperParameterTuningJob", "tune"),
            ("training_job", "TrainingJob", "train"),
        ):
            name = f"{run.prefix}-{step}"
            self.service.fake.resources[kind, name] = {
                f"{noun}Name": name,
                f"{noun}Status": "InProgress",
            }
        assert len(stop_run(connect(), run)) == 2

    def clean_up(self) -> None:
        """Remove what a run left, as `whippet clean-up --all` does."""
        from cli.main import main

        assert self.service is not None
        self.service.leave_behind()
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = main(["clean-up", "--all", "--yes"])
        if code:
            raise RuntimeError(said.getvalue().strip())
        assert not self.service.fake.names("model")
        assert not self.service.fake.names("endpoint")

    def steps(self) -> dict[str, Callable[[], Any]]:
        """Return all that a user does, in order."""
        return {
            "sync": self.sync_again,
            "tune": self.tune,
            "train": self.train,
            "deploy": self.deploy,
            "logs": self.logs,
            "stop": self.stop,
            "clean-up": self.clean_up,
        }


def _for_moto(policy: dict[str, Any]) -> dict[str, Any]:
    """Return a policy in moto's terms, which differ from S3's in two places.

    It checks HEAD of a bucket as an action of its own, and a deletion of many objects on the
    bucket instead of on each object.
    """
    statements = []
    for statement in policy["Statement"]:
        actions, resources = statement["Action"], statement["Resource"]
        if "s3:ListBucket" in actions:
            actions = [*actions, "s3:HeadBucket"]
        if "s3:DeleteObject" in actions:
            resources = [*resources, f"arn:aws:s3:::{BUCKET}"]
        statements.append({**statement, "Action": actions, "Resource": resources})
    return {**policy, "Statement": statements}


@pytest.fixture(scope="module")
def world(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world after one real, complete run whose calls and outputs are kept."""
    job_python()
    root = tmp_path_factory.mktemp("permissions")
    api_home = root / "service"
    api_home.mkdir()
    tiny_data(root / "photos")
    with account() as made, pytest.MonkeyPatch.context() as patch:
        made.allow_role(_for_moto(role_policy()))
        with api_process(api_home, made.url, made.role, identity=False) as variables:
            real = variables["AWS_ENDPOINT_URL_SAGEMAKER"]
            recording = Recording()
            front = Front(_forwarding(real, recording), user_policy())
            with serving(front) as url:
                _use(patch, root, made, url)
                world = World(root=root, account=made, front=front, recording=recording)
                world.allow(user_policy())
                record = world.release()
                keep(recording, real, made, record)
                world.roles = roles_without_an_action(made, real, recording)
                world.service = RecordedSageMaker(recording, made.put)
                front.answer = world.service.answer
                yield world


def _forwarding(real: str, recording: Recording) -> Any:
    """Return what sends calls on to the real API, and keeps the endpoint's answers."""

    def answer(path: str, body: bytes, headers: dict[str, str]) -> Response:
        found = httpx.post(real + path, content=body, headers=headers, timeout=120, trust_env=False)
        if path != "/":
            recording.answers[sha256(body).hexdigest()] = found.content
        kept = {key: found.headers[key] for key in ("x-amzn-errortype",) if key in found.headers}
        kind = found.headers.get("content-type")
        return Response(found.content, status_code=found.status_code, media_type=kind, headers=kept)

    return answer


def _use(patch: pytest.MonkeyPatch, root: Path, made: Account, url: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in {
        **made.user,
        "AWS_ENDPOINT_URL": made.url,
        "AWS_ENDPOINT_URL_S3": made.url,
        "AWS_ENDPOINT_URL_SAGEMAKER": url,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url,
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": url,
        "AWS_ENDPOINT_URL_PRICING": url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "WHIPPET_HOME": str(root / "home"),
        "WHIPPET_CHROMIUM": "none",
        "WHIPPET_PLATFORM": "aws",
        "WHIPPET_BUCKET": BUCKET,
        "WHIPPET_REGION": REGION,
        "WHIPPET_ROLE_ARN": made.role_arn,
        "WHIPPET_TRAINING_IMAGE": "pytorch-training:2",
        "WHIPPET_INFERENCE_IMAGE": "pytorch-inference:2",
    }.items():
        patch.setenv(name, value)


def _tried(world: World, step: str) -> str | None:
    """Run a step; return the sentence that it fails with, None when it does not."""
    if step == "sync":
        world.account.empty_below("whippet/datasets/fewer/")
    assert world.service is not None
    world.service.forget()
    world.front.used.clear()
    world.front.denied.clear()
    try:
        world.steps()[step]()
    except Exception as error:  # noqa: BLE001 - whatever a person would see
        return " ".join(str(error).split())
    return None


def test_the_policy_is_enough_and_each_action_is_needed(
    world: World, show: Callable[[str, str], None]
) -> None:
    used, rows, wrong = {}, [], []
    for step in world.steps():
        said = _tried(world, step)
        if said is not None or world.front.denied:
            wrong.append(("nothing", step, f"{said} {world.front.denied}"))
        used[step] = {check.action for check in world.front.used}
    for permission in chosen(USER, ()):
        action = permission.action
        if permission.optional:
            rows.append((action, "-", f"optional: {permission.reason}"))
            continue
        world.allow(user_policy(without=action))
        said, step = None, "-"
        for step in _steps_of(action, used):
            if said := _tried(world, step):
                break
        rows.append((action, step, said or "NOTHING FAILED"))
        if said is None or f"may not do {action}" not in said:
            wrong.append(rows[-1])
    rows += [(f"role: {action}", "job", said) for action, said in world.roles.items()]
    lines = [LINE.format(*row) for row in (("without", "fails in", "says"), *rows)]
    show("with the printed policies a whole run passes; without one action", "\n".join(lines))
    assert not wrong


def _steps_of(action: str, used: dict[str, set[str]]) -> list[str]:
    """Return the steps that used an action, in order; moto does not tell of those of S3.

    Not each of them fails without it: what a flow's end cannot find out is a warning.
    """
    if action.startswith("s3:"):
        return ["sync"]
    return [step for step, actions in used.items() if action in actions] or ["clean-up"]


def test_the_role_needs_each_of_its_actions_on_the_bucket(world: World) -> None:
    assert set(world.roles) == {"s3:ListBucket", "s3:GetObject", "s3:PutObject"}
    for action, said in world.roles.items():
        assert any(word in said.lower() for word in ("403", "denied", "privileges")), (action, said)
