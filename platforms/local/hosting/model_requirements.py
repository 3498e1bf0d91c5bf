"""Install a model's ``code/requirements.txt`` before its server starts, as AWS's images do."""

from __future__ import annotations

import time
from collections.abc import Callable

from platforms.local.boundary.enclosure import Enclosure
from platforms.local.boundary.requirements_layer import (
    RequirementsFailed,
    Source,
    requirements_layer,
)


def with_requirements(
    enclosure: Enclosure, source: Source, *, seconds: float, wanted: Callable[[], bool]
) -> Enclosure:
    """Return an enclosure in which a model's requirements are installed, as far as any are missing.

    What pip installed is kept, so the next server of the same model starts at once. pip is ended
    when the model is not ``wanted`` any more; then nothing is installed.

    Raises:
        RequirementsFailed: pip says no, or takes longer than that many seconds.
    """
    deadline = time.monotonic() + seconds

    def late() -> bool:
        return time.monotonic() > deadline

    layer = requirements_layer(enclosure, source, lambda: late() or not wanted())
    if layer is None and late() and wanted():
        raise RequirementsFailed(f"pip took longer than {seconds:g} seconds, and was ended")
    return enclosure.with_layer(layer)
