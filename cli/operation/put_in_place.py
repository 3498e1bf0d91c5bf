"""What ``whippet up`` and ``whippet notify`` put on a server, and the lines that tell of it."""

from __future__ import annotations

from prefect.client.orchestration import SyncPrefectClient

from cli.operation.automation_file import AutomationFile, read_automations
from cli.operation.automations import ensure_automations
from cli.operation.deployments import known_deployments
from sm_entrypoints.contract.sentences import counted


def apply_automations(client: SyncPrefectClient, file: AutomationFile | None = None) -> str:
    """Apply ``automations.yaml``; return how many there are, and who is told.

    Raises:
        ParameterError: the file is not right; nothing was changed.
    """
    applied = ensure_automations(client, file or read_automations(), known_deployments(client))
    told = ", ".join(sorted(applied.blocks)) or "nobody yet: see `whippet notify --help`"
    changed = f"{applied.changed} new or changed" if applied.changed else "as they were"
    return f"automations:     {counted(applied.automations, 'automation')}, {changed}; told: {told}"
