"""The features of whole splits: taken from where they are kept, computed where they are not."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.sentences import counted
from sm_entrypoints.features.backbone import Backbone, Built, Compute, feature_shape
from sm_entrypoints.features.compute import (
    BATCH,
    Reader,
    Seen,
    computed,
    every_place,
    read_ahead,
    rows_of,
    views_of,
)
from sm_entrypoints.features.keep import FeatureFolder, Picture, Shard, Tell, places, silent
from sm_entrypoints.features.keeper import Keeper
from sm_entrypoints.features.key import FeatureKey
from sm_entrypoints.features.probe import (
    LEAST_PICTURES,
    key_with,
    laid_out,
    named,
    pictures_kept,
    probe,
    remembered,
    ways,
)
from sm_entrypoints.images.channels import Split
from sm_entrypoints.images.views import Views

_PROGRESS_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFolders:
    """Where features are kept: folders to read, and at most one to write, which is read as well.

    ``tell`` gets a sentence for whatever could not be read or written. ``may_probe``: the numbers
    of a long pass may be chosen by trying; of several processes, all have to choose the same. A
    killed pass loses at most ``shard_bytes`` of features.
    """

    read: tuple[Path, ...] = ()
    write: Path | None = None
    tell: Tell = silent
    may_probe: bool = True
    shard_bytes: int = 64 << 20

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them, once each."""
        write = () if self.write is None else (self.write,)
        return tuple(dict.fromkeys((*write, *self.read)))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureUse:
    """What features cost: different pictures whose features were kept, or computed; seconds.

    ``numbers`` says in what they were computed, as in ``bfloat16, channels last``; ``views`` how
    many there are of each training picture, each of which counts as a picture of its own.
    """

    kept: int
    computed: int
    seconds: float
    numbers: str = ""
    views: int = 0

    def __str__(self) -> str:
        """Return a sentence without its end."""
        spent = f"in {self.seconds:.1f} s"
        many = "images and views of images" if self.views else "images"
        total, computed = (
            counted(n, "image", many) for n in (self.kept + self.computed, self.computed)
        )
        if not self.kept:
            return f"computed the features of {total} {spent}"
        if not self.computed:
            return f"took the kept features of {total} {spent}"
        return f"computed the features of {computed} and took {self.kept:,} kept {spent}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """By the name of the split, float32 on the CPU, in the split's order.

    ``by_split`` has those of the pictures themselves, shape (pictures, …); ``versions`` these and
    those of their views, shape (pictures, 1 + views, …).
    """

    by_split: Mapping[str, Tensor]
    versions: Mapping[str, Tensor]
    use: FeatureUse


def features_of(
    splits: Sequence[Split],
    built: Built,
    arguments: TrainingArguments,
    *,
    folders: FeatureFolders | None = None,
    shape: tuple[int, ...] | None = None,
) -> Features:
    """Return the features of every picture of ``splits``, whose names differ.

    Each picture is read once. The backbone sees each of those once whose features are in none of
    ``folders``: pictures with the same bytes are one. A row depends on its picture alone, up to
    the rounding of float32. Training pictures have the views of ``arguments``. Leaves the model in
    evaluation mode. Memory: 4 bytes a number of all features, and a few batches of pictures.
    ``shape`` is that of :func:`feature_shape`, if it is known already.

    Raises:
        DataSetError: a picture is bad.
    """
    started, folders = time.perf_counter(), folders or FeatureFolders()
    chosen = _chosen(splits, built, arguments, folders)
    with laid_out(built.model, chosen.compute, back=built.compute):
        features = _pass(
            splits, chosen, folders, Views.of(arguments), shape or feature_shape(built)
        )
    use = replace(
        features.use, seconds=time.perf_counter() - started, numbers=named(chosen.compute)
    )
    return replace(features, use=use)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The backbone of a pass in its numbers, their key, and whether a probe chose them."""

    backbone: Backbone
    key: FeatureKey
    probed: bool = False

    @property
    def compute(self) -> Compute:
        """The numbers."""
        return self.backbone.built.compute


def _chosen(
    splits: Sequence[Split], built: Built, arguments: TrainingArguments, folders: FeatureFolders
) -> _Chosen:
    default = _Chosen(backbone=Backbone(built), key=FeatureKey.of(built))
    open_ways = ways(arguments, built.compute)
    if len(open_ways) == 1:
        return default
    before = remembered(folders.paths, default.key, open_ways)
    if before is not None:
        chosen = Backbone(replace(built, compute=before))
    else:
        left = rows_of(splits, Views.of(arguments)) - pictures_kept(folders.paths, default.key)
        if folders.write is None or not folders.may_probe or left < LEAST_PICTURES:
            return default
        tried = probe(built, list(every_place(splits)), open_ways, folders.tell)
        if tried is None:
            return default
        chosen = tried
    key = key_with(default.key, chosen.built.compute)
    return _Chosen(backbone=chosen, key=key, probed=True)


def _pass(
    splits: Sequence[Split],
    chosen: _Chosen,
    folders: FeatureFolders,
    views: Views,
    shape: Sequence[int],
) -> Features:
    backbone = chosen.backbone
    opened = _open(folders, chosen.key, shape)
    kept = places(shard for each in opened for shard in each.shards())
    table = _Table(splits, shape, kept, views)
    keeper = Keeper([each for each in opened if each.writable], most=folders.shard_bytes)
    reader = Reader(backbone.built.card, table.kept.__contains__, views)
    size = BATCH.get(chosen.compute.device.type, 16)
    progress = _Progress(folders.tell, rows_of(splits, views))
    try:
        seen = table.noted(read_ahead(reader, every_place(splits, views), batch=size))
        for batch, features in computed(backbone, seen):
            table.fill(batch, features)
            keeper.add(batch, features)
            progress.say(len(batch))
    finally:  # what was computed before a bad picture need not be computed again
        keeper.flush()
    known, of_them = table.kept.keys() | table.seen, table.views
    for each in opened:
        each.describe(len(known - of_them), views=len(of_them), probed=chosen.probed)
    return table.result()


def _open(folders: FeatureFolders, key: FeatureKey, shape: Sequence[int]) -> list[FeatureFolder]:
    return [
        FeatureFolder(path, key, shape=shape, writable=path == folders.write, tell=folders.tell)
        for path in folders.paths
    ]


@dataclass(slots=True)
class _Progress:
    """Tells now and then how far a pass is."""

    tell: Tell
    total: int
    done: int = 0
    said: float = field(default_factory=time.monotonic)

    def say(self, more: int) -> None:
        self.done += more
        if time.monotonic() - self.said >= _PROGRESS_SECONDS:
            self.said = time.monotonic()
            self.tell(f"computed the features of {self.done} images, of {self.total} at most")


class _Table:
    """The rows of all splits, filled from files and by the backbone."""

    def __init__(
        self,
        splits: Sequence[Split],
        shape: Sequence[int],
        kept: Mapping[Picture, tuple[Shard, int]],
        views: Views,
    ) -> None:
        self.kept = kept
        self.rows = {
            split.name: torch.empty((len(split), 1 + views_of(split, views), *shape))
            for split in splits
        }
        self._views = views.count
        self._where: dict[Picture, list[Seen]] = {}
        self._owner: dict[Picture, Seen] = {}

    def noted(self, seen: Iterable[Seen]) -> Iterator[Seen]:
        """Pass pictures on, and remember where each one is."""
        for each in seen:
            self._where.setdefault(each.picture, []).append(replace(each, pixels=None))
            yield each

    def fill(self, batch: Sequence[Seen], features: Tensor) -> None:
        for each, row in zip(batch, features, strict=True):
            self._row(each)[:] = row
            self._owner[each.picture] = replace(each, pixels=None)

    @property
    def seen(self) -> set[Picture]:
        """The pictures of the splits."""
        return set(self._where)

    @property
    def views(self) -> set[Picture]:
        """What was kept or seen as a view of a picture only."""
        seen = {name for name, where in self._where.items() if all(each.version for each in where)}
        kept = {name for name, (shard, _) in self.kept.items() if name in shard.views}
        return seen | (kept - self.seen)

    def _row(self, seen: Seen) -> Tensor:
        return self.rows[seen.place.split.name][seen.place.index, seen.version]

    def result(self) -> Features:
        """Return all rows, once every picture was seen."""
        for picture, where in self._where.items():
            owner = self._owner.get(picture)
            shard, row = self.kept[picture] if owner is None else (None, 0)
            for seen in where:
                if shard is not None:
                    self._row(seen)[:] = shard.features[row]
                elif owner is not None and seen != owner:
                    self._row(seen)[:] = self._row(owner)
        use = FeatureUse(
            kept=len(self._where) - len(self._owner),
            computed=len(self._owner),
            seconds=0.0,
            views=self._views,
        )
        own = {name: rows[:, 0] for name, rows in self.rows.items()}
        return Features(by_split=own, versions=self.rows, use=use)
