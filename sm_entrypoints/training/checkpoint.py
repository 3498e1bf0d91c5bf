"""Checkpoints: everything a job needs to continue as if it had never stopped, without pickle.

A checkpoint is one safetensors file with the tensors and (in its header) the state as JSON. It is
replaced atomically: after a kill at any moment the newest complete file is found. Tensors that
cannot change (a frozen backbone) are not stored; a digest proves that they are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn, optim

from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.models.model import save_tensors

SCHEMA_VERSION = "1"


class CheckpointError(JobError):
    """Raised when a checkpoint is of another training."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a training has come. ``epochs`` are complete, ``batches`` are of the next one.

    ``totals`` are this process's sums over those batches: loss, correct, samples; ``seconds`` the
    time that they took. ``history`` holds the lines of ``metrics.jsonl``.
    """

    epochs: int = 0
    batches: int = 0
    totals: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    seconds: float = 0.0
    best_epoch: int = 0
    best_loss: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    def copy(self) -> Progress:
        """Return a progress that shares nothing with this one."""
        return Progress(**json.loads(json.dumps(asdict(self))))


def frozen_digest(model: nn.Module, learns: Mapping[str, Tensor]) -> str:
    """Return the digest of the tensors of ``model`` that are not among ``learns``."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if name not in learns:
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


class Checkpoints:
    """The checkpoint folder of a job. Does nothing when there is no such folder.

    SageMaker makes the folder when the request has a CheckpointConfig.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str], *, keep: int = 1) -> None:
        self._folder = folder
        self._identity = {**identity, "schema": SCHEMA_VERSION}
        self._keep = keep

    @property
    def enabled(self) -> bool:
        """Whether checkpoints are written."""
        return self._folder.is_dir()

    def save(self, progress: Progress, tensors: Mapping[str, Tensor]) -> None:
        """Write a checkpoint, then remove those beyond the newest ``keep``.

        Raises:
            CheckpointError: the folder cannot be written (full, read-only).
        """
        if not self.enabled:
            return
        path = self._folder / f"checkpoint-{progress.epochs:06d}-{progress.batches:09d}.safetensors"
        metadata = {
            "identity": json.dumps(self._identity),
            "progress": json.dumps(asdict(progress)),
        }
        try:
            save_tensors(path, tensors, metadata)
            for old in self._files()[self._keep :]:
                old.unlink(missing_ok=True)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"cannot write the checkpoint {path}: {error}") from None

    def load(self) -> tuple[Progress, dict[str, Tensor]] | None:
        """Return the newest checkpoint that can be read, or None; clear away what a kill left.

        Raises:
            CheckpointError: it was written by a training of another model or other classes.
        """
        if self.enabled:
            # Half written when the process was killed; it would be kept in S3 for ever.
            for half in self._folder.glob(".checkpoint-*"):
                half.unlink(missing_ok=True)
        for path in self._files():
            try:
                with safe_open(path, framework="pt") as file:
                    metadata = file.metadata() or {}
                    identity = json.loads(metadata["identity"])
                    progress = Progress(**json.loads(metadata["progress"]))
                    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
                print(f"checkpoint {path.name} cannot be read and is ignored: {error}", flush=True)
                continue
            self._check(path, identity)
            self._forget_before(path)
            return progress, tensors
        return None

    def _forget_before(self, path: Path) -> None:
        """Remove what :meth:`save` had no time to remove before a kill."""
        older = [each for each in self._files() if each.name < path.name]
        with suppress(OSError):  # it takes room, and nothing else
            for old in older[self._keep - 1 :]:
                old.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """Return the checkpoints, newest first: their names sort by progress."""
        if not self.enabled:
            return []
        return sorted(self._folder.glob("checkpoint-*.safetensors"), reverse=True)

    def _check(self, path: Path, identity: Mapping[str, str]) -> None:
        for name, value in self._identity.items():
            if identity.get(name) != value:
                raise CheckpointError(
                    f"checkpoint {path.name} belongs to another training: {name} was "
                    f"{identity.get(name)!r}, now it is {value!r}; give the job a checkpoint "
                    "location of its own"
                )


def optimizer_tensors(optimizer: optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's tensors by ``optimizer.<parameter>.<name>``."""
    return {
        f"optimizer.{index}.{name}": value.detach().cpu().contiguous().clone()
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`optimizer_tensors` took; rates are set anew by the schedule."""
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in with_prefix(tensors, "optimizer.").items():
        index, _, name = key.partition(".")
        states.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})


def with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose name starts with ``prefix``, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
