"""A cancel ends whatever runs, in every stage of a run: real jobs, real model servers.

Asked for by the command without a server, by the command with one, and in the UI (which only
writes Cancelling) of a run whose process and worker are gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelling, Crashed, Running

from cli.main import main
from platforms import Platform
from platforms.client_errors import is_not_found
from platforms.local.connection import connect_local
from tasks.cancelled_runs import cancel_run, end_cancelled_runs
from tasks.parameters.upkeep import RecoverParameters
from tasks.recovery import restart_crashed_runs
from tasks.requests.tags import RUN_TAG
from tasks.runs.names import RunIdentity
from tasks.runs.record import open_run, read_run, record
from tasks.runs.record_model import RunFacts
from tests.worlds.local.jobs import Jobs
from tests.worlds.local.searches import tuning_request
from tests.worlds.local.serving import make_config, serving_context
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow

SLEEP = "import time; print('up', flush=True); time.sleep(300)"


@flow(name="to-be-cancelled")
def nothing() -> None: ...


class Underway:
    """A run of a deployment that has started one thing, and whose process is gone."""

    def __init__(self, platform: Platform, context) -> None:
        self.platform, self.context, self.jobs = platform, context, Jobs(platform=platform)
        with get_client(sync_client=True) as client:
            made = client.create_flow_run(nothing, tags=["whippet"])
            client.set_flow_run_state(made.id, Running(), force=True)
        self.id: UUID = made.id
        settings = platform.settings
        self.run: RunIdentity = open_run(settings, str(made.id), str(made.name), {}, resume=False)
        self.tags = [{"Key": RUN_TAG, "Value": self.run.name}]

    def training(self, step: str) -> str:
        name = f"{self.run.prefix}-{step}"
        self.jobs.start(name, SLEEP, Tags=self.tags)
        self.jobs.wait_for_line(name, "up")
        return name

    def search(self) -> str:
        name = f"{self.run.prefix}-tune"
        source = json.dumps(self.jobs.upload(SLEEP))
        request = tuning_request(name, static={"sagemaker_submit_directory": source})
        self.platform.sagemaker.create_hyper_parameter_tuning_job(**request, Tags=self.tags)
        wait_for(self.trials, "trials")
        return name

    def trials(self) -> list[str]:
        found = self.platform.sagemaker.list_training_jobs(NameContains=f"{self.run.prefix}-tune")
        return [each["TrainingJobName"] for each in found["TrainingJobSummaries"]]

    def endpoint(self, behaviour: str) -> str:
        name = f"{self.run.prefix}-endpoint"
        config = make_config(self.context, name, behaviour)
        record(self.platform.settings, self.run, RunFacts(jobs={"endpoint": name}))
        self.platform.sagemaker.create_endpoint(
            EndpointName=name, EndpointConfigName=config, Tags=self.tags
        )
        if behaviour != "slow":
            wait_for(lambda: self.status_of_endpoint() == "InService", "endpoint in service")
        return name

    def status_of_endpoint(self) -> str | None:
        name = f"{self.run.prefix}-endpoint"
        try:
            found = self.platform.sagemaker.describe_endpoint(EndpointName=name)
        except Exception as error:
            if is_not_found(error):
                return None
            raise
        return str(found["EndpointStatus"])

    def goes_on(self) -> list[str]:
        """Return what still runs of it."""
        listed = self.platform.sagemaker.list_training_jobs(StatusEquals="InProgress")
        searches = self.platform.sagemaker.list_hyper_parameter_tuning_jobs(
            StatusEquals="InProgress"
        )
        names = [each["TrainingJobName"] for each in listed["TrainingJobSummaries"]]
        for each in searches["HyperParameterTuningJobSummaries"]:
            names.append(each["HyperParameterTuningJobName"])
        return names + ([] if self.status_of_endpoint() is None else ["endpoint"])

    def state(self) -> StateType:
        with get_client(sync_client=True) as client:
            return client.read_flow_run(self.id).state.type


STAGES: dict[str, Callable[[Underway], object]] = {
    "before anything": lambda run: None,
    "tune": lambda run: run.search(),
    "packed tune": lambda run: run.training("tune"),
    "train": lambda run: run.training("train"),
    "train, second attempt": lambda run: run.training("train-2"),
    "finetune": lambda run: run.training("finetune"),
    "deploy, Creating": lambda run: run.endpoint("slow"),
    "query, InService": lambda run: run.endpoint("fine"),
}


def by_command(run: Underway) -> None:
    assert main(["cancel", run.run.name]) == 0


def by_command_with_server(run: Underway) -> None:
    with get_client(sync_client=True) as client:
        cancel_run(client, run.platform, run.run)


def in_the_ui(run: Underway) -> None:
    """The button writes Cancelling, the dying process Crashed over it; then recover-runs looks."""
    with get_client(sync_client=True) as client:
        for state in (Cancelling(), Crashed()):
            client.set_flow_run_state(run.id, state, force=True)

    @flow
    def recover() -> None:
        end_cancelled_runs(RecoverParameters(settled_seconds=0))

    recover()


WAYS = {"command": by_command, "command with server": by_command_with_server, "UI": in_the_ui}


@pytest.fixture
def world(prefect_server, tmp_path, monkeypatch) -> Iterator[Underway]:
    with serving_context(tmp_path) as context:
        settings = context.settings
        monkeypatch.setenv("WHIPPET_HOME", str(settings.home))
        monkeypatch.setenv("WHIPPET_JOB_PYTHON", str(settings.job_python))
        monkeypatch.setenv("WHIPPET_BOUNDARY", "none")
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
        underway = Underway(connect_local(settings), context)
        yield underway
        underway.platform.shut_down()


# Every stage, and each way with everything that it has to end; not every product of both.
ENOUGH = [("command", stage) for stage in STAGES]
ENOUGH += [("UI", stage) for stage in STAGES if stage not in ("finetune", "train, second attempt")]
ENOUGH += [("command with server", stage) for stage in ("tune", "query, InService")]


@pytest.mark.parametrize(("way", "stage"), ENOUGH)
def test_a_cancel_ends_all_of_it(world, way, stage):
    STAGES[stage](world)
    WAYS[way](world)
    wait_for(lambda: not world.goes_on(), lambda: f"end of {world.goes_on()}")
    assert read_run(world.platform.settings, world.run.name).status == "cancelled"
    if way != "command":
        assert world.state() is StateType.CANCELLED
    for status in ("Completed", "Failed"):  # a stop is neither success nor an own fault
        listed = world.platform.sagemaker.list_training_jobs(StatusEquals=status)
        assert listed["TrainingJobSummaries"] == []
    assert not recovered(world)
    assert world.goes_on() == []


def recovered(world: Underway) -> list[str]:
    """Return the runs that recovery starts again, when the cancelled one also reads as crashed."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(world.id, Crashed(), force=True)

    @flow
    def recover() -> list[str]:
        return restart_crashed_runs(RecoverParameters(settled_seconds=0))

    return [name for name in recover() if name == world.run.name]
