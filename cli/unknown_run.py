"""What is said to who names a run that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platforms.errors import ParameterError

if TYPE_CHECKING:
    from platforms import Settings


def no_run(settings: Settings, name: str) -> ParameterError:
    """Return an error that proposes the name that is the nearest."""
    from sm_entrypoints.contract.sentences import did_you_mean, nearest
    from tasks.runs.record import every_run

    hint = did_you_mean(nearest(name, [run.name for run in every_run(settings)]), str)
    return ParameterError(f"there is no run {name!r} in {settings.runs}: {hint or 'see there'}")
