"""Name in a warning the members of a request that have no effect here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from platforms.local.context import LOGGER


def warn_of(operation: str, request: Mapping[str, Any], members: Iterable[str]) -> None:
    """Name those of ``members`` that a request has and this platform does not honour.

    One that is False asks for nothing.
    """
    present = [member for member in members if request.get(member) not in (None, False)]
    if present:
        LOGGER.warning("%s: this platform does not honour %s", operation, ", ".join(present))
