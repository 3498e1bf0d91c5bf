"""Features in files: append-only shards that are whole or not there, read memory-mapped.

``<folder>/<16 characters of the key>/`` holds ``about.json``, which says what the features are of,
and ``features-<digest>.safetensors``, whose digest is that of the file: one that does not match, or
that is of another key, is left alone and told.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sm_entrypoints.contract.files import write_atomically, write_json
from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.features.key import FeatureKey

ABOUT_FILE = "about.json"
# The version of the probe. The first one, `true` in files, took numbers that change many classes.
PROBE = 2
_PREFIX, _SUFFIX = "features-", ".safetensors"
_DIGEST_BYTES = 32

# A picture's bytes, as their SHA-256.
Picture = bytes
Tell = Callable[[str], None]


def silent(sentence: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Features as they lie in a file, mapped into memory: a row for each of ``pictures``.

    ``views`` are those of them that are no pictures themselves, but views of one.
    """

    path: Path
    pictures: tuple[Picture, ...]
    features: Tensor
    views: frozenset[Picture] = frozenset()


class FeatureFolder:
    """The features of one key in one folder, which need not exist.

    What cannot be read or written is told once, and then left out: features can be computed.
    """

    def __init__(
        self,
        folder: Path,
        key: FeatureKey,
        *,
        shape: Sequence[int],
        writable: bool = False,
        tell: Tell = silent,
    ) -> None:
        self.folder = folder / key.folder
        self.key = key
        self.shape = tuple(shape)
        self.writable = writable
        self.tell = tell

    def shards(self) -> list[Shard]:
        """Return the whole shards of this key, mapped into memory."""
        try:
            paths = sorted(self.folder.glob(f"{_PREFIX}*{_SUFFIX}"))
        except OSError as error:
            self.tell(f"the kept features in {self.folder} cannot be listed: {clause(error)}")
            return []
        return [shard for path in paths if (shard := self._shard(path)) is not None]

    def _shard(self, path: Path) -> Shard | None:
        again = "its pictures are computed again"
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if path.name != f"{_PREFIX}{digest}{_SUFFIX}":
                self.tell(f"kept features are damaged: {path.name}; {again}")
                return None
            with safe_open(path, framework="pt") as opened:
                if (opened.metadata() or {}).get("key") != self.key.digest:
                    self.tell(f"kept features are of another network: {path.name}; {again}")
                    return None
                pictures, features = opened.get_tensor("pictures"), opened.get_tensor("features")
                # Files of earlier versions do not tell them from pictures.
                told = "views" in set(opened.keys())
                views = opened.get_tensor("views").tolist() if told else []
        except (OSError, SafetensorError) as error:
            self.tell(f"kept features cannot be read: {path.name}: {clause(error)}; {again}")
            return None
        rows = pictures.shape[0] if pictures.dim() == 2 else -1
        if pictures.shape[1:] != (_DIGEST_BYTES,) or features.shape != (rows, *self.shape):
            self.tell(f"kept features have another shape: {path.name}; {again}")
            return None
        text = pictures.contiguous().numpy().tobytes()
        names = tuple(
            text[start : start + _DIGEST_BYTES]
            for start in range(0, rows * _DIGEST_BYTES, _DIGEST_BYTES)
        )
        own = frozenset(name for name, view in zip(names, views, strict=False) if view)
        return Shard(path=path, pictures=names, features=features, views=own)

    def keep(
        self, pictures: Sequence[Picture], features: Tensor, views: Sequence[bool] = ()
    ) -> None:
        """Write a shard: a row of ``features`` for each picture; a full disk is told.

        ``views`` says of each whether it is a view of one; none is, if that is left out.
        """
        if not self.writable or not pictures:
            return
        names = torch.frombuffer(bytearray(b"".join(pictures)), dtype=torch.uint8)
        tensors = {"features": features.contiguous(), "pictures": names.view(len(pictures), -1)}
        if any(views):
            tensors["views"] = torch.tensor(list(views), dtype=torch.uint8)
        data = save(tensors, metadata={"key": self.key.digest})
        name = f"{_PREFIX}{hashlib.sha256(data).hexdigest()}{_SUFFIX}"
        try:
            write_atomically(self.folder / name, data)
        except OSError as error:
            self._give_up(error)

    def describe(self, pictures: int, *, views: int = 0, probed: bool = False) -> None:
        """Write ``about.json``: what the features are of, of how many, and that it was used now.

        ``probed``: its numbers were chosen by a probe, whose choice later runs take.
        """
        if not self.writable:
            return
        document = {
            "digest": self.key.digest,
            "key": asdict(self.key),
            "shape": list(self.shape),
            "pictures": pictures,
            "views": views,
            "probed": PROBE if probed else 0,
            "used": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / ABOUT_FILE, document)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.writable = False
        self.tell(
            f"features are not kept in {self.folder}: {clause(error)}; the job goes on without, "
            "and the next one computes them again"
        )


def places(shards: Iterable[Shard]) -> dict[Picture, tuple[Shard, int]]:
    """Return where the features of each kept picture are: the shard, and the row in it."""
    return {picture: (shard, row) for shard in shards for row, picture in enumerate(shard.pictures)}


def readable(folder: Path | None) -> tuple[Path, ...]:
    """Return the folder, if there is one that can be listed."""
    return (folder,) if folder is not None and os.access(folder, os.R_OK | os.X_OK) else ()
