"""Endpoints whose processes are gone, and how they come back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from platforms import Platform
from platforms.errors import WhippetError
from tasks.endpoints.inventory import list_endpoints


class Revival(NamedTuple):
    """What became of a lost endpoint: None as ``problem`` when it is being deployed again."""

    endpoint: str
    problem: str | None = None


def revive_endpoints(platform: Platform) -> list[Revival]:
    """Deploy lost endpoints again, but for those whose time to live has passed.

    One that cannot be deployed keeps no other from it. Does not wait for their servers.
    """
    lost, now = platform.lost_endpoints(), datetime.now(UTC)
    if not lost:
        return []
    expired = {each.name for each in list_endpoints(platform) if each.expired(now)}
    revivals = []
    for name in lost:
        if name in expired:
            revivals.append(Revival(name, "its time to live has passed"))
            continue
        try:
            if platform.revive(name):
                revivals.append(Revival(name))
        except (WhippetError, OSError) as error:
            revivals.append(Revival(name, str(error)))
    return revivals
