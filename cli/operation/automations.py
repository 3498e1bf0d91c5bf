"""Create or update the automations of ``automations.yaml`` on a server, by their names."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.variables import Variable

from cli.operation.automation_file import AutomationFile, Known, automation_of
from tasks.telling.limits import LIMITS_VARIABLE

PREFIX = "whippet-"
_MOST = 200


class AppliedAutomations(NamedTuple):
    """How many automations there are, how many of them were made or changed, who is told."""

    automations: int
    changed: int
    blocks: list[str]


def ensure_automations(
    client: SyncPrefectClient, file: AutomationFile, deployments: dict[str, UUID]
) -> AppliedAutomations:
    """Create or update each automation of the file, and the limits that runs compare with.

    One that somebody switched off in the UI stays off. Others' automations are left alone; of
    several of one of our names, which a double application by hand leaves, one is kept.

    Raises:
        ParameterError: an automation names a deployment that is not on the server.
    """
    blocks = notification_blocks(client)
    known = Known(deployments, list(blocks.values()))
    wanted = [automation_of(each, known) for each in file.automations]
    changed = sum([_ensure(client, each) for each in wanted])
    Variable.set(LIMITS_VARIABLE, file.limits.model_dump(mode="json"), overwrite=True)
    return AppliedAutomations(len(wanted), changed, list(blocks))


def notification_blocks(client: SyncPrefectClient) -> dict[str, UUID]:
    """Return the blocks that are told, by name: those that `whippet notify` made."""
    found = client.read_block_documents(limit=_MOST)
    return {
        str(each.name): each.id
        for each in found
        if str(each.name).startswith(PREFIX) and _notifies(each.block_schema)
    }


def _notifies(schema: object) -> bool:
    return "notify" in getattr(schema, "capabilities", [])


def _ensure(client: SyncPrefectClient, wanted: AutomationCore) -> bool:
    """Say whether something had to be done."""
    found = client.read_automations_by_name(wanted.name)
    if not found:
        client.create_automation(wanted)
        return True
    first, *doubles = found
    for each in doubles:
        client.delete_automation(each.id)
    kept = wanted.model_copy(update={"enabled": first.enabled})
    if not doubles and _same(first, kept):
        return False
    client.update_automation(first.id, kept)
    return True


def _same(found: Automation, wanted: AutomationCore) -> bool:
    known = wanted.model_dump(mode="json")
    there = found.model_dump(mode="json")
    return all(_plain(there.get(key)) == _plain(value) for key, value in known.items())


def _plain(value: object) -> object:
    """Return a value whose sets, which have no order, are sorted."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if key != "id"}
    if isinstance(value, list):
        return sorted((_plain(each) for each in value), key=repr)
    return value
