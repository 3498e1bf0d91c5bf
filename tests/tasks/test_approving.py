"""A run waits for a person on a real Prefect server, and their answer is what happens."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow

from flows.hooks import FLOW_POLICY
from platforms import Settings
from platforms.errors import ParameterError
from tasks.approval.asking import asked_by
from tasks.approval.question import Reply
from tasks.approving import refusal, require_somebody_to_ask
from tasks.parameters.run import DeploymentParameters
from tasks.runs.record import PREDICTIONS_FILE, read_run, record, run_folder
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import Evaluation, TrainedModel
from tasks.runs.stages import stage
from tasks.unanswered import close_unanswered, held_back
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow
ROWS = [("a cat/1.jpg", "a cat", "a cat", 0.9), ("a cat/2.jpg", "a cat", "d'og", 0.6)]
LAUNCHED: list[str] = []


@flow(name="gated", **FLOW_POLICY)
def gated(hours: float = 1, approve: str = "always"):
    """What a release does around its question; the training before it is adopted, or done."""
    held = held_back()
    if held is not None:
        return held
    deployment = DeploymentParameters(approve=approve, approve_hours=hours)
    with stage("plan") as run:
        require_somebody_to_ask(deployment)
    if read_run(Settings(), run.name).training is None:
        LAUNCHED.append(run.name)
    trained = TrainedModel(
        job=f"{run.name}-train",
        model_data_uri="s3://b/model.tar.gz",
        output_uri="s3://b/output.tar.gz",
        test_uri="s3://b/test",
        metrics={},
        billable_seconds=1,
    )
    tested = Evaluation(accuracy=0.5, samples=2)
    record(Settings(), run, RunFacts(training=trained, evaluation=tested))
    with (run_folder(Settings(), run.name) / PREDICTIONS_FILE).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "predicted", "probability"])
        rows.writerows(ROWS)
    refused = refusal(run, trained, deployment)
    return "deployed" if refused is None else refused


@pytest.fixture
def deployment(prefect_server, whippet_home) -> Iterator[UUID]:
    """A deployment of the flow: what has none cannot wait."""
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(gated)
        made = client.create_deployment(flow_id, "gate", tags=["whippet"])
        yield made
        client.delete_deployment(made)


def started(deployment: UUID, **asked: object) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.create_flow_run_from_deployment(deployment, parameters=asked)


def go_on(flow_run: FlowRun) -> State:
    """Do what a worker does with a run that is due; return the state that it leaves."""
    known = now(flow_run)
    with suppress(Pause):
        run_flow(gated, flow_run=known, parameters=known.parameters, return_type="state")
    return now(flow_run).state


def now(flow_run: FlowRun) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(flow_run.id)


def answer(flow_run: FlowRun, **form: object):
    with get_client(sync_client=True) as client:
        return client.resume_flow_run(flow_run.id, run_input=form)


def test_a_yes_deploys_and_nothing_is_launched_twice(deployment):
    flow_run = started(deployment)
    state = go_on(flow_run)
    assert (state.type, state.name) == (StateType.PAUSED, "Suspended")
    waiting = read_run(Settings(), flow_run.name)
    assert waiting.status == "waiting"
    assert waiting.approval.waits
    assert waiting.approval.sentence.startswith("50.0% of 2 test pictures right. There is no model")
    # What the form needs, and nothing that the form does not know.
    for wrong in ({}, {"deploy": "maybe"}, {"deploy": "yes", "resaon": "a typo"}):
        assert answer(flow_run, **wrong).status.value == "REJECT"
    assert now(flow_run).state.name == "Suspended"
    assert answer(flow_run, deploy="yes", reason="looks good").status.value == "ACCEPT"
    state = go_on(flow_run)
    assert (state.type, state.name) == (StateType.COMPLETED, "Completed")
    known = read_run(Settings(), flow_run.name)
    assert (known.status, known.approval.answer) == ("completed", "yes")
    assert known.approval.reason == "looks good"
    assert LAUNCHED.count(flow_run.name) == 1


def test_the_form_shows_what_there_is_to_decide(deployment):
    flow_run = started(deployment)
    details = go_on(flow_run).state_details
    with get_client(sync_client=True) as client:
        shown = client.read_flow_run_input(flow_run.id, details.run_input_keyset["description"])
        schema = client.read_flow_run_input(flow_run.id, details.run_input_keyset["schema"])
    for text in (
        "50.0% of 2 test pictures right",
        "There is no model in service",
        "USD an hour for 1 x ml.t2.medium, for 8 h, at most",
        "a cat/2.jpg",
        "no answer is a no",
    ):
        assert text in shown
    assert shown.index("a cat/2.jpg") < shown.index("a cat/1.jpg"), "those in doubt first"
    assert '"required":["deploy"]' in schema.replace(" ", "")
    assert details.pause_timeout is not None


def test_a_no_ends_the_run_cleanly_as_refused(deployment):
    flow_run = started(deployment)
    go_on(flow_run)
    answer(flow_run, deploy="no", reason="not before the holidays.")
    state = go_on(flow_run)
    # A name of Prefect's own, or its lists would not show the run.
    assert (state.type, state.name) == (StateType.COMPLETED, "Completed")
    assert "refused" in now(flow_run).tags
    assert state.message.startswith("Not deployed: not before the holidays. 50.0% of 2 test")
    known = read_run(Settings(), flow_run.name)
    assert (known.status, known.error) == ("refused", None)
    assert known.ended


def test_a_time_out_is_a_no_and_its_remains_are_swept(deployment):
    flow_run, other = started(deployment, hours=0.0003), started(deployment)
    for each in (flow_run, other):
        assert go_on(each).name == "Suspended"
    until = now(flow_run).state.state_details.pause_timeout
    wait_for(lambda: datetime.now(UTC) > until, "end of the time")
    # Prefect's server ends it, now or a few seconds ago: no hook of the flow runs.
    assert answer(flow_run, deploy="yes").status.value in ("REJECT", "ABORT")
    assert now(flow_run).state.type is StateType.FAILED
    assert read_run(Settings(), flow_run.name).status == "waiting"
    sweep = flow(name="sweep")(lambda: close_unanswered())
    assert sweep() == [flow_run.name]
    assert sweep() == []
    state = now(flow_run).state
    assert (state.type, state.name) == (StateType.COMPLETED, "Completed")
    assert "refused" in now(flow_run).tags
    assert state.message.startswith("Not deployed: nobody answered by 20")
    known = read_run(Settings(), flow_run.name)
    assert (known.status, known.approval.answer) == ("refused", "no")
    assert now(other).state.name == "Suspended"
    assert read_run(Settings(), other.name).status == "waiting"


def test_a_run_that_is_started_again_after_its_time_asks_anew(deployment):
    flow_run = started(deployment)
    go_on(flow_run)
    answer(flow_run, deploy="no")
    go_on(flow_run)
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run.id, State(type=StateType.SCHEDULED), force=True)
    state = go_on(flow_run)
    assert state.name == "Suspended", state.message
    assert read_run(Settings(), flow_run.name).approval.key == "approve-deployment-2"
    answer(flow_run, deploy="yes")
    assert go_on(flow_run).name == "Completed"


def test_a_run_that_died_before_it_waited_waits_all_the_same(deployment, monkeypatch):
    flow_run = started(deployment)

    def killed(**_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tasks.approving.suspend_flow_run", killed)
        with pytest.raises(KeyboardInterrupt):
            go_on(flow_run)
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run.id, State(type=StateType.SCHEDULED), force=True)
    before = read_run(Settings(), flow_run.name).approval
    assert go_on(flow_run).name == "Suspended"
    assert read_run(Settings(), flow_run.name).approval == before
    assert answer(flow_run, deploy="yes").status.value == "ACCEPT"
    assert go_on(flow_run).name == "Completed"


def test_the_next_scheduled_run_is_held_back_and_one_by_hand_is_not(deployment):
    first, by_hand, next_one = started(deployment), started(deployment), started(deployment)
    go_on(first)
    assert go_on(by_hand).name == "Suspended"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.unanswered._is_scheduled", lambda flow_run: True)
        state = go_on(next_one)
    assert (state.type, state.name) == (StateType.COMPLETED, "Completed")
    assert now(next_one).tags == ["held-back", "whippet"]
    assert "held-back" not in now(by_hand).tags
    assert "waits for an answer. Nothing was trained." in state.message
    assert next_one.name not in LAUNCHED
    assert not run_folder(Settings(), next_one.name).exists()


def test_without_a_deployment_the_terminal_is_asked(prefect_server, whippet_home):
    asked = []

    def ask(question, look):
        look()
        asked.append(question.markdown)
        return Reply("no", "I do not like it")

    with asked_by(ask):
        state = gated(return_state=True)
    assert (state.name, len(asked)) == ("Completed", 1)
    assert state.message.startswith("Not deployed: I do not like it. ")
    with asked_by(lambda question, look: Reply("yes")):
        assert gated() == "deployed"


def test_a_question_that_nobody_can_be_asked_is_refused_before_any_work(
    prefect_server, whippet_home
):
    before = list(LAUNCHED)
    with pytest.raises(ParameterError, match="approve='always' asks a person"):
        gated()
    assert before == LAUNCHED
    # No model is in service: nothing can be worse than it.
    assert gated(approve="when_worse") == "deployed"
