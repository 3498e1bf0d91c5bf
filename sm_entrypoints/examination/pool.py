"""All pictures of a data set in one table: their features, labels, and which split they are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sm_entrypoints.examination.heads import Projection, averaged
from sm_entrypoints.images.channels import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A row a picture, split by split.

    ``numbers`` are what heads are fitted to, ``rows`` the features themselves, ``labels`` int64.
    """

    classes: tuple[str, ...]
    splits: tuple[Split, ...]
    rows: Tensor
    numbers: Tensor
    projection: Projection
    labels: Tensor

    @classmethod
    def of(
        cls, splits: Sequence[Split], features: Mapping[str, Tensor], classes: Sequence[str]
    ) -> Pool:
        """Take the features of ``splits``, which have as many rows as pictures.

        Raises:
            ValueError: they have not.
        """
        for split in splits:
            if len(features[split.name]) != len(split):
                raise ValueError(
                    f"the features of {split.name} have {len(features[split.name])} rows, but "
                    f"there are {len(split)} pictures"
                )
        rows = torch.cat([averaged(features[split.name]) for split in splits])
        projection = Projection.of(rows)
        return cls(
            classes=tuple(classes),
            splits=tuple(splits),
            rows=rows,
            numbers=projection(rows),
            projection=projection,
            labels=torch.tensor([label for split in splits for label in split.labels]),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def place(self, index: int) -> tuple[Split, int]:
        """Return the split of a row, and the picture's place in it."""
        for split in self.splits:
            if index < len(split):
                return split, index
            index -= len(split)
        raise IndexError(index)

    def split_numbers(self) -> Tensor:
        """Return the number of each row's split."""
        return torch.cat(
            [torch.full((len(split),), place) for place, split in enumerate(self.splits)]
        )
