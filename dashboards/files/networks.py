"""The choice among networks that a search made: its file ``networks.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from sm_entrypoints.contract.networks import NETWORKS_FILE, NETWORKS_VERSION, NetworksDocument

_MEMBERS = ("rule", "winner", "networks", "cost")


def read_networks_file(folder: Path) -> NetworksDocument | None:
    """Return the choice in a search's output; None where there was one network.

    Raises:
        ValueError: the file is not what the job writes, or of a newer version.
    """
    path = folder / NETWORKS_FILE
    if not path.exists():
        return None
    document = json.loads(path.read_text("utf-8"))
    if not isinstance(document, dict) or any(name not in document for name in _MEMBERS):
        raise ValueError(f"{NETWORKS_FILE} is not a choice among networks")
    if document.get("version") != NETWORKS_VERSION:
        raise ValueError(
            f"{NETWORKS_FILE} has version={document.get('version')!r}, but this code reads "
            f"{NETWORKS_VERSION}"
        )
    return cast(NetworksDocument, document)
