"""What planned requests ask of an account: instance types, images and quotas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from platforms import Needs
from tasks.plan.requests import PlannedRequest

_IMAGE_MEMBERS = ("TrainingImage", "Image")


def needs(quotas: dict[str, int], requests: Sequence[PlannedRequest]) -> Needs:
    """Return what planned requests ask of an account."""
    # AWS names its quotas by their instance type.
    types = sorted({name.split(" ")[0] for name in quotas})
    images = tuple(dict.fromkeys(_images([each.request for each in requests])))
    return Needs(instance_types=tuple(types), images=images, quotas=quotas)


def _images(value: object) -> Iterator[str]:
    """Yield the images that requests name, of jobs first, as requests are in the order of a run."""
    if isinstance(value, list):
        for each in value:
            yield from _images(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in _IMAGE_MEMBERS and isinstance(each, str):
                yield each
            else:
                yield from _images(each)
