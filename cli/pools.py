"""Base job templates of work pools: ``python -m cli.pools docker > template.json``.

Prefect's own template of the kind, with what Whippet's runs need: the module's environment, and a
folder of runs that outlives a container and that all workers share. docs/server.md says how.
"""

from __future__ import annotations

import argparse
import json
from importlib import resources
from typing import Any

from prefect.server.schemas.actions import validate_base_job_template

KINDS = ("docker", "ecs", "kubernetes")
HOME = "/var/lib/whippet"
# What the server itself offers as templates.
_METADATA = "collections_data/views/aggregate-worker-metadata.json"
_VOLUME = "whippet-home"
_IMAGE = "whippet-worker:latest"
_ENVIRONMENT = {"WHIPPET_HOME": HOME, "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
# Variables of Prefect's templates, by kind, with other defaults than its own.
DEFAULTS: dict[str, dict[str, Any]] = {
    "docker": {
        "image": _IMAGE,
        "image_pull_policy": "IfNotPresent",
        "volumes": [f"{_VOLUME}:{HOME}"],
        "mem_limit": "4g",
    },
    "ecs": {"image": _IMAGE, "cpu": 1024, "memory": 4096, "configure_cloudwatch_logs": True},
    "kubernetes": {
        "image": _IMAGE,
        "image_pull_policy": "IfNotPresent",
        "memory_request": "2Gi",
        "memory_limit": "4Gi",
    },
}


def template_of(kind: str) -> dict[str, Any]:
    """Return the template of a kind of work pool.

    Raises:
        ValueError: Prefect has no such kind, or its schema refuses the template.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no template for {kind!r}: use {' or '.join(KINDS)}")
    template = _prefects_own(kind)
    variables = template["variables"]["properties"]
    for name, value in {**DEFAULTS[kind], "env": _ENVIRONMENT}.items():
        variables[name]["default"] = value
    if kind == "ecs":
        _mount_efs(template)
    elif kind == "kubernetes":
        _mount_claim(template)
    return validate_base_job_template(template)


def _prefects_own(kind: str) -> dict[str, Any]:
    text = resources.files("prefect.server.api").joinpath(_METADATA).read_text("utf-8")
    workers = {name: each for of in json.loads(text).values() for name, each in of.items()}
    found: dict[str, Any] = workers[kind]["default_base_job_configuration"]
    return found


def _mount_efs(template: dict[str, Any]) -> None:
    template["variables"]["properties"]["file_system_id"] = {
        "type": "string",
        "title": "File system",
        "description": "The EFS file system of the folder of runs, such as fs-0123456789abcdef0.",
    }
    template["variables"].setdefault("required", []).append("file_system_id")
    task = template["job_configuration"]["task_definition"]
    efs = {"fileSystemId": "{{ file_system_id }}", "transitEncryption": "ENABLED"}
    task["volumes"] = [{"name": _VOLUME, "efsVolumeConfiguration": efs}]
    (container,) = task["containerDefinitions"]
    container["mountPoints"] = [{"sourceVolume": _VOLUME, "containerPath": HOME}]


def _mount_claim(template: dict[str, Any]) -> None:
    template["variables"]["properties"]["volume_claim"] = {
        "type": "string",
        "title": "Volume claim",
        "description": "The ReadWriteMany claim of the folder of runs.",
        "default": _VOLUME,
    }
    pod = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    claim = {"claimName": "{{ volume_claim }}"}
    pod["volumes"] = [{"name": _VOLUME, "persistentVolumeClaim": claim}]
    (container,) = pod["containers"]
    container["volumeMounts"] = [{"name": _VOLUME, "mountPath": HOME}]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    print(json.dumps(template_of(parser.parse_args().kind), indent=2))
