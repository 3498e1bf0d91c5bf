"""Find and remove endpoints, and stop jobs: whatever would go on billing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact

from platforms import Platform, connect
from tasks.costs.ledger_update import note_endpoint
from tasks.deployment import remove_endpoint
from tasks.endpoints.autoscaling import tags_of
from tasks.endpoints.unused import own_config_and_models
from tasks.parameters.run import CleanUpParameters
from tasks.requests.bodies import EXPIRES_TAG, RUN_TAG
from tasks.requests.create_or_adopt import ENDPOINT, is_not_found
from tasks.requests.pages import list_all
from tasks.runs.names import RunIdentity
from tasks.runs.record import known_run, recorded_jobs
from tasks.runs.task_policy import policy

# The ends of the names of a run's jobs, as regexes. An attempt's number may follow.
COMPARISON_STEP = "improve-[0-9a-f]{6}"
STEPS = ("tune", "train", "transform", COMPARISON_STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """An endpoint that Whippet made, as it is now."""

    name: str
    status: str
    run: str
    created: datetime
    expires: datetime | None

    def expired(self, now: datetime) -> bool:
        """Say whether its time to live has passed."""
        return self.expires is not None and self.expires <= now


def list_endpoints(platform: Platform) -> list[EndpointState]:
    """Return the endpoints that carry Whippet's tags, newest first."""
    summaries = list_all(
        platform.sagemaker.list_endpoints,
        "Endpoints",
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    states = [_endpoint_state(platform, summary) for summary in summaries]
    return [state for state in states if state is not None]


def _endpoint_state(platform: Platform, summary: dict[str, Any]) -> EndpointState | None:
    try:
        answer = platform.sagemaker.list_tags(ResourceArn=summary["EndpointArn"])
    except ClientError as error:
        if is_not_found(error):  # deleted since it was listed
            return None
        raise
    tags = {tag["Key"]: tag["Value"] for tag in answer["Tags"]}
    if RUN_TAG not in tags:
        return None
    expires = tags.get(EXPIRES_TAG)
    return EndpointState(
        name=summary["EndpointName"],
        status=summary["EndpointStatus"],
        run=tags[RUN_TAG],
        created=summary["CreationTime"],
        expires=datetime.fromisoformat(expires) if expires else None,
    )


def delete_with_config_and_models(platform: Platform, endpoint: str) -> None:
    """Delete an endpoint, and its config and that one's models as far as they are Whippet's.

    What somebody else made (an endpoint may have been updated to it) stays, and so does what
    another endpoint or config uses. The run's ledger is closed, where its record is here.
    """
    found = ENDPOINT.describe(platform.sagemaker, endpoint)
    if found is None:
        return
    run = tags_of(platform, found["EndpointArn"]).get(RUN_TAG)
    config, models = own_config_and_models(platform, endpoint, found["EndpointConfigName"])
    remove_endpoint(platform, endpoint, config, models)
    identity = known_run(platform.settings, run) if run else None
    if identity is not None:
        note_endpoint(platform, identity)


def endpoints_to_remove(
    states: list[EndpointState], parameters: CleanUpParameters, now: datetime
) -> list[EndpointState]:
    """Return the endpoints that ``parameters`` mean."""
    if parameters.endpoint is not None:
        return [state for state in states if state.name == parameters.endpoint]
    return [state for state in states if parameters.all or state.expired(now)]


@task(name="remove endpoints", **policy(3600))
def remove_endpoints(parameters: CleanUpParameters) -> list[str]:
    """Remove the endpoints that ``parameters`` mean, or only say which; return their names."""
    platform = connect()
    chosen = endpoints_to_remove(list_endpoints(platform), parameters, datetime.now(UTC))
    logger = get_run_logger()
    for state in chosen:
        if parameters.dry_run:
            logger.info("would remove endpoint %s (%s)", state.name, state.status)
        else:
            delete_with_config_and_models(platform, state.name)
            logger.info("removed endpoint %s", state.name)
    rows = [{"endpoint": s.name, "status": s.status, "run": s.run} for s in chosen]
    if rows:
        create_table_artifact(rows, key="clean-up")
    return [state.name for state in chosen]


def stop_run(platform: Platform, run: RunIdentity, steps: Sequence[str] = STEPS) -> list[str]:
    """Stop the jobs of a run's ``steps`` that are in progress; return their names.

    Jobs are found by name prefix, so nothing has to be remembered by the process that stops them.
    """
    sagemaker = platform.sagemaker
    stopped = []
    kinds: list[tuple[str, Any, Any]] = [
        (
            "HyperParameterTuningJob",
            sagemaker.list_hyper_parameter_tuning_jobs,
            sagemaker.stop_hyper_parameter_tuning_job,
        ),
        ("TrainingJob", sagemaker.list_training_jobs, sagemaker.stop_training_job),
    ]
    if "transform" in recorded_jobs(platform.settings, run):
        # Only then: who never transforms need not be allowed to list transform jobs.
        kinds.append(("TransformJob", sagemaker.list_transform_jobs, sagemaker.stop_transform_job))
    for kind, list_jobs, stop in kinds:
        for name in _in_progress(list_jobs, kind, run, steps):
            if _stop(stop, f"{kind}Name", name):
                stopped.append(name)
    return stopped


def stop_everything(platform: Platform, run: RunIdentity) -> list[str]:
    """Stop a run's jobs, and remove its endpoint; return their names: nothing of it bills on."""
    stopped = stop_run(platform, run)
    endpoint = recorded_jobs(platform.settings, run).get("endpoint")
    # Only then: who never deploys need not be allowed to ask for endpoints.
    if endpoint and ENDPOINT.describe(platform.sagemaker, endpoint) is not None:
        delete_with_config_and_models(platform, endpoint)
        stopped.append(endpoint)
    return stopped


def names_in_progress(platform: Platform, run: RunIdentity, steps: Sequence[str]) -> list[str]:
    """Return the training jobs of a run's ``steps`` that are in progress."""
    return _in_progress(platform.sagemaker.list_training_jobs, "TrainingJob", run, steps)


def _in_progress(list_jobs: Any, kind: str, run: RunIdentity, steps: Sequence[str]) -> list[str]:
    """Return the names of a run's own jobs; trials belong to their tuning job and are left out."""
    found = list_all(
        list_jobs, f"{kind}Summaries", NameContains=run.prefix, StatusEquals="InProgress"
    )
    names = [str(summary[f"{kind}Name"]) for summary in found]
    step = "|".join(steps)
    own = re.compile(re.escape(run.prefix) + rf"-({step})(-\d)?")
    return [name for name in names if own.fullmatch(name)]


def _stop(stop: Any, member: str, name: str) -> bool:
    """Stop one job; False when it ended by itself since it was listed."""
    try:
        stop(**{member: name})
    except ClientError as error:
        # SageMaker refuses to stop what is not in progress; the other jobs still bill.
        if error.response.get("Error", {}).get("Code") != "ValidationException":
            raise
        return False
    return True
