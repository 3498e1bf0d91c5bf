"""Moments as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(written: str) -> str:
    """Return an ISO 8601 moment to the minute, such as ``2026-11-27 08:31 UTC``.

    One without a zone is in UTC; what is no moment (``never``) comes back as it is.
    """
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        return written
    zoned = found if found.tzinfo else found.replace(tzinfo=UTC)
    return f"{zoned.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
