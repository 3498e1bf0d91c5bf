"""What recover-runs does with runs that were cancelled, and that nobody ended."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.states import AwaitingRetry, Cancelled, Cancelling, Crashed, Failed, Running

from flows.hooks import FLOW_POLICY
from platforms import Settings, connect
from tasks.cancelled_runs import end_cancelled, end_cancelled_runs
from tasks.cancelling.history import cancel_asked
from tasks.parameters.upkeep import RecoverParameters
from tasks.recovery import restart_crashed_runs
from tasks.requests.stop import stop_improvement
from tasks.runs.improvements import find_improvement, note_improvement
from tasks.runs.names import RunIdentity
from tasks.runs.record import finish, open_run, read_run, record
from tasks.runs.record_model import RunFacts
from tasks.runs.stages import stage
from tests.worlds.fake_sagemaker import FakeSageMaker

pytestmark = pytest.mark.slow


@flow(name="lost")
def lost() -> None: ...


class Lost:
    """A flow run of a deployment with a history, its record, and jobs that go on."""

    def __init__(self, whippet_home, *states: State, deployed: bool = True) -> None:
        self.sagemaker = FakeSageMaker()
        self.settings = Settings()
        self.platform = replace(connect(self.settings), sagemaker=self.sagemaker)
        with get_client(sync_client=True) as client:
            made = client.create_flow_run(lost, tags=["whippet"] if deployed else [])
            for state in (Running(), *states):
                client.set_flow_run_state(made.id, state, force=True)
        self.id = made.id
        self.run = open_run(self.settings, str(made.id), made.name, {}, resume=False)

    def launch(self, *steps: str) -> None:
        for step in steps:
            name, noun = f"{self.run.prefix}-{step}", "TrainingJob"
            kind = "training_job"
            if step == "tune":
                noun, kind = "HyperParameterTuningJob", "hyper_parameter_tuning_job"
            arn = f"arn:aws:sagemaker:us-east-1:000000000000:job/{name}"
            self.sagemaker.resources[kind, name] = {
                f"{noun}Name": name,
                f"{noun}Arn": arn,
                f"{noun}Status": "InProgress",
            }

    def statuses(self) -> dict[str, str]:
        return {
            name.removeprefix(f"{self.run.prefix}-"): next(
                value for key, value in found.items() if key.endswith("JobStatus")
            )
            for (_, name), found in self.sagemaker.resources.items()
        }

    def end(self) -> list[str] | None:
        with get_client(sync_client=True) as client:
            flow_run = client.read_flow_run(self.id)
            asked = cancel_asked(client.read_flow_run_states(self.id))
            assert asked is not None
            return end_cancelled(client, self.platform, flow_run, asked)

    def state(self) -> StateType:
        with get_client(sync_client=True) as client:
            return client.read_flow_run(self.id).state.type


@pytest.mark.parametrize(
    "states",
    [
        [Cancelling()],
        [Cancelling(), Crashed()],
        [Cancelling(), Failed()],
        [Cancelling(), Cancelled()],
        [Cancelling(), Crashed(), AwaitingRetry(), Running(), Crashed()],
    ],
    ids=lambda states: " ".join(state.name for state in states),
)
def test_what_goes_on_of_a_cancelled_run_is_stopped(prefect_server, whippet_home, states):
    found = Lost(whippet_home, *states)
    found.launch("tune", "train-2")
    stopped = found.end()
    assert {name.removeprefix(f"{found.run.prefix}-") for name in stopped} == {"tune", "train-2"}
    assert found.statuses() == {"tune": "Stopping", "train-2": "Stopping"}
    assert found.state() is StateType.CANCELLED
    assert read_run(found.settings, found.run.name).status == "cancelled"
    assert found.end() is None  # nothing is left


def test_what_it_launched_after_it_was_seen_to_is_stopped_too(prefect_server, whippet_home):
    found = Lost(whippet_home, Cancelling(), Cancelled())
    finish(found.settings, found.run, "cancelled")
    assert found.end() is None
    found.launch("train")  # by a process that somebody took for dead
    assert found.end() == [f"{found.run.prefix}-train"]
    # Long afterwards nobody asks any more: a list of all jobs for each run would never end.
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    record(
        found.settings,
        found.run,
        RunFacts(ended=long_ago.isoformat(timespec="seconds")),
    )
    with get_client(sync_client=True) as client:
        flow_run, before = client.read_flow_run(found.id), len(found.sagemaker.calls)
        asked = long_ago - timedelta(minutes=1)
        assert end_cancelled(client, found.platform, flow_run, asked) is None
    assert len(found.sagemaker.calls) == before


def test_a_run_that_was_started_again_and_cancelled_again_is_ended(prefect_server, whippet_home):
    found = Lost(whippet_home)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    record(
        found.settings,
        found.run,
        RunFacts(status="cancelled", ended=long_ago.isoformat()),
    )
    with get_client(sync_client=True) as client:
        for state in (Cancelling(), Cancelled(), AwaitingRetry(), Running(), Cancelling()):
            client.set_flow_run_state(found.id, state, force=True)
    found.launch("train")
    assert found.end() == [f"{found.run.prefix}-train"]


def test_the_jobs_of_whoever_resumed_it_go_on(prefect_server, whippet_home):
    found = Lost(whippet_home, Cancelling(), Cancelled(), deployed=False)
    resumed = open_run(found.settings, "another-flow-run", found.run.name, {}, resume=True)
    assert resumed.prefix == found.run.prefix
    found.launch("train")
    assert found.end() is None
    assert found.statuses() == {"train": "InProgress"}


def test_only_the_comparison_of_a_cancelled_improvement_is_stopped(prefect_server, whippet_home):
    improved = Lost(whippet_home)
    improved.launch("train", "improve-abcdef")
    with get_client(sync_client=True) as client:
        made = client.create_flow_run(lost, tags=["whippet"])
        client.set_flow_run_state(made.id, Cancelling(), force=True)
        job = f"{improved.run.prefix}-improve-abcdef"
        note_improvement(improved.settings, str(made.id), improved.run, job)
        flow_run, now = client.read_flow_run(made.id), datetime.now(UTC)
        stopped = end_cancelled(client, improved.platform, flow_run, now)
        assert client.read_flow_run(made.id).state.type is StateType.CANCELLED
    assert stopped == [f"{improved.run.prefix}-improve-abcdef"]
    assert improved.statuses() == {"train": "InProgress", "improve-abcdef": "Stopping"}
    assert find_improvement(improved.settings, str(made.id)).run == improved.run


def test_two_improvements_of_one_run_do_not_share_their_stop(whippet_home):
    improved = open_run(Settings(), "an id", "demo", {}, resume=False)
    fake = FakeSageMaker()
    platform = replace(connect(Settings()), sagemaker=fake)
    jobs = [f"{improved.prefix}-improve-{digest}" for digest in ("aaaaaa", "bbbbbb", "aaaaaa-2")]
    for name in jobs:
        fake.resources["training_job", name] = {
            "TrainingJobName": name,
            "TrainingJobStatus": "InProgress",
        }
    note_improvement(Settings(), "first", improved, jobs[0])
    note_improvement(Settings(), "second", improved, jobs[1])
    assert stop_improvement(platform, "second") == [jobs[1]]
    assert stop_improvement(platform, "first") == [jobs[0], jobs[2]]  # and its second attempt
    assert stop_improvement(platform, "of nobody") == []


def test_an_improvement_that_another_process_waits_for_as_well_goes_on(whippet_home):
    improved = open_run(Settings(), "an id", "demo", {}, resume=False)
    fake = FakeSageMaker()
    platform = replace(connect(Settings()), sagemaker=fake)
    job = f"{improved.prefix}-improve-aaaaaa"
    fake.resources["training_job", job] = {
        "TrainingJobName": job,
        "TrainingJobStatus": "InProgress",
    }
    for flow_run in ("first", "second"):  # the same question, asked twice
        note_improvement(Settings(), flow_run, improved, job)
    assert stop_improvement(platform, "first") == []
    other = Settings().runs / ".improved-by-flow-run" / "second.json"
    values = json.loads(other.read_text())
    values["follower"]["Boot"] = "an earlier one"  # it was killed
    other.write_text(json.dumps(values))
    assert stop_improvement(platform, "first") == [job]


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_process_that_dies_of_its_worker_ends_a_cancelled_run(
    prefect_server, whippet_home, cancelled
):
    seen: list[RunIdentity] = []

    @flow(**FLOW_POLICY)
    def dying() -> None:
        with stage("train") as run:
            seen.append(run)
        if cancelled:
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(UUID(run.flow_run_id), Cancelling(), force=True)
        raise SystemExit(1)  # what Prefect's engine does when the worker is gone

    with pytest.raises(SystemExit):
        dying()
    (run,) = seen
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(run.flow_run_id)).state
    status = read_run(Settings(), run.name).status
    assert (state.type, status) == (
        (StateType.CANCELLED, "cancelled") if cancelled else (StateType.CRASHED, "crashed")
    )


@pytest.mark.parametrize("ended", ["crashed", "failed", "cancelled"])
def test_the_record_of_a_run_that_goes_on_says_so(prefect_server, whippet_home, ended):
    """Otherwise a clean-up would take its jobs for those of a run that is over."""

    @flow(**FLOW_POLICY)
    def resumed() -> tuple[str, str | None]:
        with stage("train") as run:
            pass
        finish(Settings(), run, ended, "why")
        with stage("deploy"):
            found = read_run(Settings(), run.name)
            return found.status, found.error

    assert resumed() == ("running", None)


def test_recovery_ends_it_and_never_starts_it_again(prefect_server, whippet_home):
    from flows.recover_runs import recover_runs

    cancelled = Lost(whippet_home, Cancelling(), Crashed())
    by_hand = Lost(whippet_home, Cancelling(), deployed=False)
    wanted = Lost(whippet_home, Crashed())

    @flow
    def recover() -> tuple[list[str], list[str]]:
        request = RecoverParameters(settled_seconds=0)
        return restart_crashed_runs(request), end_cancelled_runs(request)

    restarted, ended = recover()
    assert cancelled.run.name not in restarted
    assert {cancelled.run.name, by_hand.run.name} <= set(ended)
    assert wanted.run.name not in ended
    assert wanted.state() is StateType.CRASHED  # it has no deployment to go back to
    for each in (cancelled, by_hand):
        assert each.state() is StateType.CANCELLED
        assert read_run(each.settings, each.run.name).status == "cancelled"
    assert recover_runs(RecoverParameters(settled_seconds=0)) == []


def test_the_run_of_an_improvement_is_found_again(whippet_home):
    run = RunIdentity(name="demo", token="abc123", flow_run_id="f")
    note_improvement(Settings(), "an id", run, "its-job")
    assert find_improvement(Settings(), "an id").run == run
    assert find_improvement(Settings(), "another id") is None
