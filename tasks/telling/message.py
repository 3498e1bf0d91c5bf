"""What an event of a run says to people and to automations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Message(NamedTuple):
    """What an event says.

    Attributes:
        about: what it is about; the same event about the same thing is emitted once for a run.
        labels: of the resource, by which automations choose: they cannot look into the payload.
        facts: more of the payload, for programs.
    """

    about: str
    title: str
    sentence: str
    labels: Mapping[str, str] = {}
    facts: Mapping[str, str | float | None] = {}
