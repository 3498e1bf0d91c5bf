"""Events of runs for those who watch: ``whippet.verdict``, ``whippet.cost`` and others.

Each is about the resource ``whippet.run.<run>``, related to its flow run, and says a title, a
sentence and where the report lies. ``automations.yaml`` decides who is told (docs/operate.md).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
from prefect import get_client, get_run_logger, task
from prefect.events import emit_event
from prefect.variables import Variable
from pydantic import ValidationError

from dashboards.files.findings import Verdict
from platforms import Settings, connect
from platforms.errors import ParameterError
from sm_entrypoints.contract.sentences import clause, ended
from tasks.costs.ledger import cost_sentence, endpoint_so_far_usd, spent_usd
from tasks.endpoints.inventory import OwnedResource, list_endpoints
from tasks.runs.moments import moment
from tasks.runs.names import RunIdentity
from tasks.runs.record import read_run, record
from tasks.runs.record_model import RunFacts, RunRecord
from tasks.runs.record_parts import Deployment
from tasks.runs.task_policy import policy
from tasks.telling.limits import LIMITS_VARIABLE, Limits
from tasks.telling.message import Message

ASKED = "whippet.approval.asked"
VERDICT, COST = "whippet.verdict", "whippet.cost"
DEPLOYED, ENDING = "whippet.model.deployed", "whippet.endpoint.ending"


def tell(event: str, run: RunIdentity, message: Message) -> bool:
    """Emit an event of a run unless it was; say whether it was emitted now."""
    settings = Settings()
    known = read_run(settings, run.name)
    key = f"{event} {message.about}"
    if key in known.told:
        return False
    emit_event(
        event,
        {
            "prefect.resource.id": f"whippet.run.{run.name}",
            "prefect.resource.name": run.name,
            **message.labels,
        },
        related=[
            {
                "prefect.resource.id": f"prefect.flow-run.{known.flow_run_id}",
                "prefect.resource.role": "flow-run",
            }
        ],
        payload={
            "title": message.title,
            "sentence": ended(message.sentence),
            "report": known.report,
            **message.facts,
        },
    )
    # Last: twice is better than never.
    record(settings, run, RunFacts(told={key: datetime.now(UTC).isoformat(timespec="seconds")}))
    return True


def tell_verdict(run: RunIdentity, job: str, verdict: Verdict | None) -> None:
    """Tell what the rules found in a run's training; nothing for one that was not judged."""
    if verdict is None:
        return
    title = f"verdict of run {run.name}: {verdict.severity}"
    labels = {"whippet.severity": verdict.severity, "whippet.rule": verdict.rule}
    tell(VERDICT, run, Message(job, title, verdict.sentence, labels))


def tell_cost(run: RunIdentity, known: RunRecord) -> None:
    """Tell what a run has cost, and whether that is more than the limit."""
    said = cost_sentence(known)
    if said is None:
        return
    usd, limit = spent_usd(known.ledger.values()) + endpoint_so_far_usd(known), limits().cost_usd
    above = float(usd) > limit
    where = "" if known.bills else ", at the prices of AWS"
    title = f"run {run.name} cost {usd:.2f} USD{where}"
    sentence = f"Its limit is {limit:.2f} USD; it cost {said}" if above else f"It cost {said}"
    labels = {"whippet.above-limit": "yes" if above else "no"}
    facts = {"usd": float(usd), "limit_usd": limit}
    tell(COST, run, Message(f"{usd:.2f}", title, sentence, labels, facts))


def tell_deployed(run: RunIdentity, deployed: Deployment, known: RunRecord) -> None:
    """Tell that the run's model is in service."""
    tested = known.evaluation
    accuracy = None if tested is None else tested.accuracy
    good = "" if tested is None or accuracy is None else f", {accuracy:.1%} right in the test"
    sentence = f"Endpoint {deployed.endpoint} is up until {moment(deployed.expires)}{good}"
    facts = {"endpoint": deployed.endpoint, "expires": deployed.expires, "accuracy": accuracy}
    title = f"model of run {run.name} is in service"
    tell(DEPLOYED, run, Message(deployed.endpoint, title, sentence, facts=facts))


@task(name="report ending endpoints", **policy(300))
def tell_of_ending_endpoints() -> list[str]:
    """Tell once of each endpoint whose time to live ends soon; return their names.

    Of runs whose record is not here nothing is known that could be told.
    """
    platform, told = connect(), []
    until = datetime.now(UTC) + timedelta(minutes=limits().endpoint_minutes)
    for state in list_endpoints(platform):
        if not state.expired(until):
            continue
        try:
            run = read_run(platform.settings, state.run).identity
        except (FileNotFoundError, ParameterError):
            continue
        if tell(ENDING, run, _ending(state)):
            get_run_logger().info("endpoint %s ends soon", state.name)
            told.append(state.name)
    return told


def _ending(state: OwnedResource) -> Message:
    end = f"{state.expires:%Y-%m-%d %H:%M} UTC" if state.expires else "never"
    sentence = f"clean-up removes endpoint {state.name} after {end}; deploy again to keep it"
    facts = {"endpoint": state.name, "expires": end}
    return Message(f"{state.name} {end}", f"endpoint {state.name} ends", sentence, facts=facts)


def limits() -> Limits:
    """Return the limits that ``whippet up`` put on the server; the defaults without, or of others.

    A server that does not answer ends nothing here.
    """
    try:
        found = Variable.get(LIMITS_VARIABLE)
        return Limits() if found is None else Limits.model_validate(found)
    except (ValidationError, httpx.HTTPError):
        return Limits()


def label_report(run: RunIdentity, path: str) -> None:
    """Write on the flow run where its report lies: messages about its end say so."""
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run_labels(UUID(run.flow_run_id), {"whippet.report": path})
    except httpx.HTTPError as error:
        get_run_logger().warning("messages will not name the report: %s", clause(error))
