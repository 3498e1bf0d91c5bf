"""Features on their way into files: a killed pass loses no more than the last shard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sm_entrypoints.features.compute import Seen
from sm_entrypoints.features.keep import FeatureFolder, Picture

# A shard is written when features have waited for so long, too.
_SHARD_SECONDS = 20.0


@dataclass(slots=True)
class Keeper:
    """Collects features and writes them in shards of about ``most`` bytes."""

    folders: Sequence[FeatureFolder]
    most: int
    pictures: list[Picture] = field(default_factory=list)
    views: list[bool] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)
    bytes: int = 0
    since: float = field(default_factory=time.monotonic)

    def add(self, batch: Sequence[Seen], features: Tensor) -> None:
        """Take the features of a batch; write a shard when enough of them wait, or for long."""
        if not any(each.writable for each in self.folders):
            return
        self.pictures += [each.picture for each in batch]
        self.views += [each.version > 0 for each in batch]
        self.rows.append(features)
        self.bytes += features.numel() * features.element_size()
        if self.bytes >= self.most or time.monotonic() - self.since >= _SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self.rows:
            for folder in self.folders:
                folder.keep(self.pictures, torch.cat(self.rows), self.views)
        self.pictures, self.views, self.rows = [], [], []
        self.bytes, self.since = 0, time.monotonic()
