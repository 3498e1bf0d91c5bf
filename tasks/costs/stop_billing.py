"""End what bills: a run's jobs and its endpoint, whose ledger is closed with it."""

from __future__ import annotations

from platforms import Platform
from tasks.costs.ledger_update import note_endpoint
from tasks.endpoints.remove import remove_endpoint
from tasks.endpoints.unused import own_config_and_models
from tasks.requests.create_or_adopt import ENDPOINT, ENDPOINT_CONFIG, MODEL
from tasks.requests.stop import stop_run
from tasks.requests.tags import run_of
from tasks.runs.names import RunIdentity, resource_name
from tasks.runs.record import known_run, recorded_jobs


def delete_with_config_and_models(
    platform: Platform, endpoint: str, *, wait: bool = True
) -> str | None:
    """Delete an endpoint, and its config and that one's models as far as they are Whippet's.

    What somebody else made (an endpoint may have been updated to it) stays, and so does what
    another endpoint or config uses. The run's ledger is closed, where its record is here.
    Returns None when that is done; without ``wait``, else the status that does not allow it yet.
    """
    description = ENDPOINT.describe(platform.sagemaker, endpoint)
    if description is None:
        return None
    run = run_of(platform, description["EndpointArn"])
    config, models = own_config_and_models(platform, endpoint, description["EndpointConfigName"])
    status = remove_endpoint(platform, endpoint, config, models, wait=wait)
    identity = known_run(platform.settings, run) if run else None
    if identity is not None:
        note_endpoint(platform, identity)
    return status


def stop_everything(platform: Platform, run: RunIdentity) -> list[str]:
    """Stop a run's jobs, and remove its endpoint; return their names: nothing of it bills on."""
    stopped = stop_run(platform, run)
    endpoint = recorded_jobs(platform.settings, run).get("endpoint")
    # Only then: who never deploys need not be allowed to ask for endpoints.
    if endpoint is None:
        return stopped
    if ENDPOINT.describe(platform.sagemaker, endpoint) is not None:
        delete_with_config_and_models(platform, endpoint)
        stopped.append(endpoint)
    # Whoever removed it before may have been killed: then these are left, and its account is open.
    ENDPOINT_CONFIG.delete(platform.sagemaker, resource_name(run, "config"))
    MODEL.delete(platform.sagemaker, resource_name(run, "model"))
    note_endpoint(platform, run)
    return stopped
