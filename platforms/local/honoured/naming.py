"""Name in a warning the members of a request that have no effect here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from platforms.local.context import LOGGER


def warn_of(operation: str, request: Mapping[str, Any], members: Iterable[str]) -> None:
    """Name those of ``members`` that a request has and this platform does not honour.

    One that is False asks for nothing.
    """
    warn_ignored(operation, [each for each in members if request.get(each) not in (None, False)])


def warn_ignored(what: str, members: Collection[str]) -> None:
    """Name members that have no effect; say nothing where there are none."""
    if members:
        LOGGER.warning("%s: this platform does not honour %s", what, ", ".join(members))
