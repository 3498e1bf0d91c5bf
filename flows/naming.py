"""Names of flow runs that tell their story, where nobody gave a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import runtime

from platforms.errors import WhippetError
from tasks.parameters.groups import Advanced
from tasks.stories.names import is_random, release_name


def named(story: Callable[..., str]) -> Callable[[], str]:
    """Return what gives a flow run its name: ``story`` of its parameters, or the name it was given.

    A run that starts again keeps its name.
    """

    def name() -> str:
        given = str(runtime.flow_run.name or "")
        if given and not is_random(given):
            return given
        parameters: dict[str, Any] = dict(runtime.flow_run.parameters)
        try:
            return story(**parameters)
        except WhippetError:  # the flow says so itself, with its own error
            return given or str(runtime.flow_run.flow_name)

    return name


def story_of_search(advanced: Advanced, **groups: Any) -> str:
    """Return the name of a run that searches, such as ``clipart · mobilenet_v2 · 64 trials``."""
    names = ("data", "model", "tuning", "resources")
    return release_name(*(advanced.settle(name, groups[name]) for name in names))
