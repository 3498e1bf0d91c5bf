"""What is kept, by data set and network: listed from the store, removed, and held to a quota."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from obstore.store import ObjectStore

from sm_entrypoints.contract.search_progress import PROGRESS_PREFIX
from tasks.features.places import ABOUT
from tasks.storage.listing import Listed, list_objects
from tasks.storage.objects import delete_objects, read_if_there

GIGABYTE = 1_000_000_000
_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFeatures:
    """What one network made of the pictures of one data set, or the progress of a search.

    Attributes:
        folder: its name below the data set's: 16 characters of the key, or ``search-…``.
        network: the architecture; empty where nothing says it.
        pictures: how many have features; None where nothing says it.
        views: how many views of them have features besides.
        used: when a job wrote here for the last time.
        keys: its objects, whole keys.
    """

    dataset: str
    folder: str
    network: str
    precision: str
    image_size: int | None
    pictures: int | None
    views: int = 0
    bytes: int
    used: datetime
    keys: tuple[str, ...]

    @property
    def is_progress(self) -> bool:
        """Whether it is what a search that has not ended will go on with: no features."""
        return self.folder.startswith(PROGRESS_PREFIX)

    @property
    def name(self) -> str:
        """What a user calls it by: ``<data set>/<folder>``."""
        return f"{self.dataset}/{self.folder}"


def list_kept(store: ObjectStore, root: str) -> list[KeptFeatures]:
    """Return what is kept below ``root``, the longest unused first.

    Raises:
        StoreFailed: the bucket cannot be listed or read.
    """
    folders: dict[tuple[str, str], dict[str, Listed]] = {}
    for key, listed in list_objects(store, root).items():
        dataset, _, rest = key.partition("/")
        folder, slash, _ = rest.partition("/")
        if slash:
            folders.setdefault((dataset, folder), {})[key] = listed
    found = [_described(store, root, name, objects) for name, objects in sorted(folders.items())]
    return sorted(found, key=lambda each: each.used)


def _described(
    store: ObjectStore, root: str, name: tuple[str, str], objects: dict[str, Listed]
) -> KeptFeatures:
    dataset, folder = name
    about = _about(store, f"{root}/{dataset}/{folder}/{ABOUT}")
    key = about.get("key")
    of = key if isinstance(key, dict) else {}
    return KeptFeatures(
        dataset=dataset,
        folder=folder,
        network=str(of.get("architecture", "")),
        precision=str(of.get("dtype", "")),
        image_size=_count(of.get("image_size")),
        pictures=_count(about.get("pictures")),
        views=_count(about.get("views")) or 0,
        bytes=sum(listed.size for listed in objects.values()),
        used=max(listed.modified or _NEVER for listed in objects.values()),
        keys=tuple(f"{root}/{each}" for each in sorted(objects)),
    )


def _about(store: ObjectStore, key: str) -> dict[str, Any]:
    try:
        document = json.loads(read_if_there(store, key) or b"{}")
    except ValueError:  # it only describes: the features are found without it
        return {}
    return document if isinstance(document, dict) else {}


def _count(value: object) -> int | None:
    return value if type(value) is int else None


def remove(store: ObjectStore, kept: list[KeptFeatures]) -> int:
    """Delete features; return how many bytes they took.

    Raises:
        StoreFailed: an object cannot be deleted.
    """
    delete_objects(store, [key for each in kept for key in each.keys])
    return sum(each.bytes for each in kept)


def surplus(kept: list[KeptFeatures], quota: int, *, spare: str) -> Iterator[KeptFeatures]:
    """Yield what to remove so that at most ``quota`` bytes are left: the longest unused first.

    The features of the data set ``spare``, which is about to be used, go last.
    """
    left = sum(each.bytes for each in kept)
    for each in sorted(kept, key=lambda each: (each.dataset == spare, each.used)):
        if left <= quota:
            return
        left -= each.bytes
        yield each
