"""The work pool and the deployments of ``prefect.yaml``, applied without doubles."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.variables import Variable
from prefect.workers.process import ProcessWorker

from cli.operation.worker import POOL
from platforms.errors import SettingsError
from platforms.settings import PROJECT_ROOT

FILE = PROJECT_ROOT / "prefect.yaml"
# On the server, for it is the server's state: a new database has none.
_APPLIED = "whippet_deployments"
_SECONDS = 300
# A deployment has the form of its flow as it was when it was applied.
_FORMS = ("flows/*.py", "tasks/parameters/*.py", "sm_entrypoints/contract/*.py")


class Applied(NamedTuple):
    """The names of all deployments; whether they had to be applied."""

    names: list[str]
    changed: bool


def ensure_pool(client: SyncPrefectClient) -> None:
    """Create the work pool unless there is one of its name, of whatever type."""
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
        client.create_work_pool(pool)


def is_online(client: SyncPrefectClient, worker: str) -> bool:
    """Say whether the server has heard of a worker lately."""
    found = client.read_workers_for_work_pool(POOL)
    return any(each.name == worker and each.status is WorkerStatus.ONLINE for each in found)


def ensure_deployments(client: SyncPrefectClient, file: Path = FILE) -> Applied:
    """Apply the file by Prefect's own command, unless the server has just these deployments.

    What people switched on or off in the UI, a schedule, stays as they left it.

    Raises:
        SettingsError: Prefect refuses the file; includes what it says.
    """
    names = deployment_names(file)
    before = _known(client, names)
    digest = digest_of(file)
    if len(before) == len(names) and Variable.get(_APPLIED) == digest:
        return Applied(names, changed=False)
    command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all"]
    deployed = subprocess.run(
        [*command, "--prefect-file", str(file)],
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if deployed.returncode != 0:
        said = (deployed.stdout + deployed.stderr).strip()[-1500:]
        raise SettingsError(f"the deployments of {file} could not be applied:\n{said}")
    after = _known(client, names)
    if missing := sorted(set(names) - set(after)):
        raise SettingsError(f"Prefect applied {file}, but has no deployment {', '.join(missing)}")
    for name, deployment in after.items():
        _close_form(client, deployment)
        if name in before:
            _keep_switches(client, before[name], deployment)
    Variable.set(_APPLIED, digest, overwrite=True)
    return Applied(names, changed=True)


def _close_form(client: SyncPrefectClient, deployment: DeploymentResponse) -> None:
    """Let the server refuse a group of another name.

    Prefect makes schemas that take any, and its client's own update drops the word for it.
    """
    schema = {**(deployment.parameter_openapi_schema or {}), "additionalProperties": False}
    client.request(
        "PATCH",
        "/deployments/{id}",
        path_params={"id": str(deployment.id)},
        json={"parameter_openapi_schema": schema},
    )


def deployment_names(file: Path = FILE) -> list[str]:
    """Return ``flow/deployment`` of every deployment in the file."""
    described: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return [
        f"{each['entrypoint'].rpartition('.')[2].replace('_', '-')}/{each['name']}"
        for each in described["deployments"]
    ]


def digest_of(file: Path, project: Path = PROJECT_ROOT) -> str:
    """Return a digest of all that makes the deployments: the file, Prefect, the flows' forms."""
    found = hashlib.sha256(file.read_bytes() + version("prefect").encode())
    for source in sorted(path for pattern in _FORMS for path in project.glob(pattern)):
        found.update(source.read_bytes())
    return found.hexdigest()


def _known(client: SyncPrefectClient, names: list[str]) -> dict[str, DeploymentResponse]:
    known = {}
    for name in names:
        try:
            known[name] = client.read_deployment_by_name(name)
        except ObjectNotFound:
            continue
    return known


def known_deployments(client: SyncPrefectClient) -> dict[str, UUID]:
    """Return the ids of the file's deployments that the server has, by ``flow/deployment``."""
    return {name: each.id for name, each in _known(client, deployment_names()).items()}


def _keep_switches(
    client: SyncPrefectClient, before: DeploymentResponse, after: DeploymentResponse
) -> None:
    chosen = {each.slug: each.active for each in before.schedules if each.slug}
    for schedule in after.schedules:
        wanted = chosen.get(schedule.slug or "")
        if wanted is not None and wanted != schedule.active:
            client.update_deployment_schedule(after.id, schedule.id, active=wanted)
