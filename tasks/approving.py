"""Ask a person before a model is deployed: the run suspends, its process ends, nothing bills.

A run of a deployment waits in Prefect, and its form holds the question; another one asks at its
terminal. After the answer the flow starts again from its first line and adopts what it had done
(docs/operate.md).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from prefect import get_client, get_run_logger, runtime, suspend_flow_run, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.input import RunInput, read_flow_run_input
from prefect.input.run_input import Keyset, keyset_from_base_key
from prefect.states import Completed
from pydantic import Field, ValidationError

from platforms import Platform, Settings, connect
from platforms.errors import ParameterError, WhippetError
from sm_entrypoints.contract.sentences import clause, joined
from tasks.approval.asking import asker
from tasks.approval.comparison import sentence_of
from tasks.approval.in_service import (
    Answered,
    answered,
    compared,
    model_in_service,
    with_old_answers,
)
from tasks.approval.question import Cost, Question, Reply, question_of, refused_sentence
from tasks.cancelling.watch import CancelWatch
from tasks.endpoints.kinds import KINDS
from tasks.endpoints.requests import endpoint_requests
from tasks.events import ASKED, tell
from tasks.parameters.run import DeploymentParameters
from tasks.plan.deployment import deployment_plan
from tasks.reports import publish_run
from tasks.runs.approval_parts import Approval, Comparison
from tasks.runs.endings import REFUSED, tag_ending
from tasks.runs.names import RunIdentity
from tasks.runs.record import read_run, record
from tasks.runs.record_model import RunFacts, RunRecord
from tasks.runs.record_parts import TrainedModel
from tasks.runs.stages import stage
from tasks.runs.task_policy import policy
from tasks.telling.message import Message

_PASSING = ("better", "not worse")
_NO_MODEL = "There is no model in service for this data set"


class DeployForm(RunInput):
    """What a person fills in while the run waits. There is no default: an answer must be given."""

    deploy: Literal["yes", "no"] = Field(
        title="Deploy this model?",
        description="yes: the endpoint is created, and bills from then on. no: the run ends "
        "without an endpoint, and its model stays where it is.",
    )
    reason: str = Field("", max_length=500, title="Why", description="Kept with the run.")

    @classmethod
    def save(cls, keyset: Keyset, flow_run_id: UUID | None = None) -> None:
        """Save the form unless it was: ours is there before the run waits, for it may die there."""
        if read_flow_run_input(keyset["schema"], flow_run_id) is None:
            super().save(keyset, flow_run_id)


def require_somebody_to_ask(deployment: DeploymentParameters) -> None:
    """Check, before anything costs, that a question that must come can be answered.

    Raises:
        ParameterError: the run has neither a deployment, in which it could wait, nor a terminal.
    """
    if deployment.approve == "always" and not runtime.deployment.id and asker() is None:
        raise ParameterError(
            "approve='always' asks a person, but this run has no deployment to wait in, and no "
            "terminal: start it from its deployment, or with `whippet run`"
        )


def refusal(
    run: RunIdentity, trained: TrainedModel, deployment: DeploymentParameters
) -> State[RunRecord] | None:
    """Ask whether the model is deployed; return the state in which the run ends if it is not.

    None: it is to be deployed. In a deployment the process ends here until there is an answer. A
    yes holds for the model that it was said to, however often the run goes on.
    """
    if deployment.approve == "never":
        return None
    with stage("approve"):
        question = prepare_question(run, trained, deployment)
        if question is None:
            return None
        reply = _reply(run, question)
        asked = _asked(run)
        answer = {
            "answer": reply.answer,
            "answered": _written(datetime.now(UTC)),
            "reason": reply.reason,
        }
        facts = RunFacts(approval=asked.model_copy(update=answer), status="running")
        record(Settings(), run, facts)
    get_run_logger().info("deploy it? %s", joined(reply.answer, reply.reason))
    with get_client(sync_client=True) as client:
        refused = REFUSED if reply.answer == "no" else None
        tag_ending(client, UUID(str(runtime.flow_run.id)), refused)
    if refused is None:
        return None
    return Completed(message=refused_sentence(asked.sentence, reply), data=publish_run(run))


@task(name="prepare question", task_run_name="prepare question of {run.name}", **policy(1800))
def prepare_question(
    run: RunIdentity, trained: TrainedModel, deployment: DeploymentParameters
) -> Question | None:
    """Compare the model with the one in service, and publish the question; None if there is none:
    the answer was yes before, or the comparison passes and decides (``when_worse``).

    A question that is out already is returned as it was asked.
    """
    platform, flow_run_id = connect(), str(runtime.flow_run.root_flow_run_id)
    run_record = read_run(platform.settings, run.name)
    before = run_record.approval
    if before is not None and before.training_job == trained.job:
        if before.answer == "yes":
            return None
        if before.waits and before.flow_run_id == flow_run_id:
            return Question(run.name, before.sentence, "", datetime.fromisoformat(before.until))
    pictures, found = _compare(platform, run, trained, deployment)
    now = datetime.now(UTC)
    asked = Approval(
        training_job=trained.job,
        flow_run_id=flow_run_id,
        key=f"approve-deployment-{_number(before, flow_run_id)}",
        asked=_written(now),
        until=_written(now + timedelta(hours=deployment.approve_hours)),
        sentence=found if isinstance(found, str) else sentence_of(found),
    )
    if deployment.approve == "when_worse" and _passes(found):
        _pass_unasked(run, asked, found)
        return None
    cost = _cost(platform, run, trained, deployment)
    until = datetime.fromisoformat(asked.until)
    question = question_of(run_record, found, cost, pictures, until)
    _ask(run, asked.model_copy(update={"sentence": question.sentence}), question, found)
    return question


def _passes(found: Comparison | str) -> bool:
    """Say whether nobody need be asked: no loss beyond the margin, or nothing to lose."""
    return found == _NO_MODEL if isinstance(found, str) else found.outcome in _PASSING


def _pass_unasked(run: RunIdentity, asked: Approval, found: Comparison | str) -> None:
    answer = {"answer": "yes", "answered": asked.asked, "reason": "nobody had to be asked"}
    facts = RunFacts(approval=asked.model_copy(update=answer))
    record(Settings(), run, _with_comparison(facts, found))
    get_run_logger().info("%s", joined(asked.sentence, "It is deployed without a question"))


def _ask(run: RunIdentity, asked: Approval, question: Question, found: Comparison | str) -> None:
    """Put the question where people find it; the record is last, since who reads it waits."""
    create_markdown_artifact(question.markdown, key="approval", description=question.sentence)
    if runtime.deployment.id:
        form = DeployForm.with_initial_data(description=question.markdown)
        form.save(keyset_from_base_key(f"suspended-{asked.key}"), UUID(asked.flow_run_id))
    facts = RunFacts(approval=asked, status="waiting")
    record(Settings(), run, _with_comparison(facts, found))
    _announce(run, asked, question)


def _with_comparison(facts: RunFacts, found: Comparison | str) -> RunFacts:
    if isinstance(found, str):
        return facts
    # Only what is set is written.
    return facts.model_copy(update={"comparison": found})


def _number(before: Approval | None, flow_run_id: str) -> int:
    """Return which question of this flow run it is: Prefect lets each key be asked once."""
    if before is None or before.flow_run_id != flow_run_id:
        return 1
    return int(before.key.rpartition("-")[2]) + 1


def _compare(
    platform: Platform, run: RunIdentity, trained: TrainedModel, deployment: DeploymentParameters
) -> tuple[list[Answered], Comparison | str]:
    """Return the test pictures with all answers, and the comparison or why there is none."""
    pictures = answered(platform, run)
    found = model_in_service(platform, run, trained)
    if found is None:
        return pictures, _NO_MODEL
    if not pictures:
        return pictures, "There are no answers of the new model to compare"
    try:
        pictures = with_old_answers(platform, found, trained, pictures)
    except (WhippetError, ClientError, BotoCoreError, OSError) as error:
        return pictures, f"The model in service did not answer ({clause(error)})"
    return pictures, compared(found, trained, pictures, deployment.margin_points / 100)


def _cost(
    platform: Platform, run: RunIdentity, trained: TrainedModel, deployment: DeploymentParameters
) -> Cost:
    plan = deployment_plan(platform, run, trained, deployment)
    config = endpoint_requests(platform, run, trained, deployment)["config"]
    return Cost(
        hour_usd=plan.hour_usd,
        worst_usd=plan.worst_usd,
        hours_to_live=deployment.hours_to_live,
        instances=KINDS[deployment.kind].machines(config),
        bills=plan.bills,
    )


def _announce(run: RunIdentity, asked: Approval, question: Question) -> None:
    """Tell automations that a run waits for a person."""
    until = f"{question.until:%Y-%m-%d %H:%M} UTC"
    sentence = joined(question.sentence, f"Answer by {until} on the run's page: no answer is a no")
    title = f"deploy the model of run {run.name}?"
    about = f"{asked.flow_run_id} {asked.key}"
    tell(ASKED, run, Message(about, title, sentence, facts={"until": _written(question.until)}))


def _reply(run: RunIdentity, question: Question) -> Reply:
    if not runtime.deployment.id:
        ask = asker()
        if ask is None:
            return Reply("no", "there was nobody to ask")
        return ask(question, CancelWatch().look)
    left = (question.until - datetime.now(UTC)).total_seconds()
    try:
        form = suspend_flow_run(
            wait_for_input=DeployForm, timeout=max(1, round(left)), key=_asked(run).key
        )
    except ValidationError:  # it was started again without an answer: by hand, after its time
        return Reply("no", f"nobody answered by {question.until:%Y-%m-%d %H:%M} UTC")
    return Reply(form.deploy, form.reason.strip())


def _asked(run: RunIdentity) -> Approval:
    found = read_run(Settings(), run.name).approval
    if found is None:
        raise ParameterError(f"the record of run {run.name!r} was changed: its question is gone")
    return found


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
