"""Make the index of an smdebug folder safe and small: a staged copy to read from.

smdebug trusts an index completely (a path of an event file may lead anywhere), waits for files that
a killed training never wrote, and loads the locations of all tensors of all steps at once. The
staged folder has only sound entries, says that the training has ended, and names as many steps as
can be read in time. Layout: smdebug/core/locations.py and index_reader.py of smdebug 1.0.34.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

from sm_entrypoints.imported.parts import ExplainError
from sm_entrypoints.imported.sampling import epochs_of, evenly
from sm_entrypoints.rules.reading import read_object

# Index files looked at, and steps of which all tensors are read; of the others only the loss.
MAX_STEPS = 10_000
MAX_FULL_STEPS = 150
MAX_FULL_BYTES = 1_000_000_000
_MAX_INDEX_BYTES = 16_000_000
_END_FILE = "training_job_end.ts"
_DELIVERED = ("output/model.tar.gz", "output/output.tar.gz", "training.json")
_COLLECTIONS = "collections/000000000"
# <step>_<worker>.json; the worker is worker_0, or a device's name.
_INDEX_NAME = re.compile(r"(\d{1,18})_(.+)\.json")
_LOSS_NAME = re.compile(r"(.*loss.*_output_\d+|(.*/)?loss)", re.IGNORECASE)
_REDUCTION = re.compile(r"smdebug/reductions/[^/]+/(.+)")
_MODES = ("TRAIN", "EVAL", "PREDICT", "GLOBAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedStep:
    """A step in the staged index: which tensors it has.

    ``step`` counts within ``mode`` (smdebug's, so GLOBAL when the script set none); ``epoch``
    counts from 1 the times that training went on after a validation.
    """

    step: int
    mode: str
    epoch: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedTrial:
    """A folder that smdebug's ``create_trial`` reads without waiting.

    Attributes:
        folder: the staged folder.
        steps: in the order of time.
        collections: names of tensors by collection.
        last_steps: the number of the last step by mode, also of steps that were left out.
        source_bytes: what the sound entries refer to.
        notes: what was left out, in sentences.
    """

    folder: Path
    steps: Sequence[SavedStep]
    collections: Mapping[str, Sequence[str]]
    last_steps: Mapping[str, int]
    source_bytes: int
    notes: Sequence[str]

    def is_loss(self, name: str) -> bool:
        """Whether a tensor is a loss, by its collection or, without one, by its name."""
        return _is_loss(name, self.collections)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """An index file that can be read."""

    path: Path
    mode: str
    step: int
    size: int
    epoch: int = 1


def stage_trial(source: Path, target: Path) -> StagedTrial:
    """Write a copy of the index of ``source`` into the new folder ``target``.

    Raises:
        ExplainError: no index file is sound; says how many there are.
        OSError: the folder cannot be read, or ``target`` not written.
    """
    stage = _Stage(source.resolve(), target)
    entries = stage.look()
    if not entries:
        raise ExplainError(
            f"{str(source)!r} has no readable step ({stage.broken} index files are broken or "
            "point to missing event files)"
        )
    stage.write_frame()
    steps = list(stage.write(entries))
    return StagedTrial(
        folder=target,
        steps=steps,
        collections=stage.collections,
        last_steps=stage.last_steps,
        source_bytes=stage.bytes,
        notes=stage.notes(),
    )


class _Stage:
    """The work of :func:`stage_trial`: one pass to look, one to write."""

    def __init__(self, source: Path, target: Path) -> None:
        self._source, self._target = source, target
        self._worker, self.collections = _read_collections(source)
        self._seen = self._full = self._trained = 0
        self._workers: set[str] = set()
        self.broken = self.bytes = 0
        self.last_steps: dict[str, int] = {}

    def look(self) -> list[_Entry]:
        """Return the entries of the steps that are to be read, in the order of time."""
        names = []
        for path in self._source.glob("index/*/*.json"):
            match = _INDEX_NAME.fullmatch(path.name)
            if match:
                names.append((int(match[1]), match[2], path))
                self._workers.add(match[2])
        if self._worker not in self._workers:
            self._worker = min(self._workers, default=self._worker)
        own = sorted((step, path) for step, worker, path in names if worker == self._worker)
        self._seen = len(own)
        entries = [entry for _, path in evenly(own, MAX_STEPS) if (entry := self._entry(path))]
        self.broken = min(self._seen, MAX_STEPS) - len(entries)
        for entry in entries:
            self.bytes += entry.size
            self.last_steps[entry.mode] = max(entry.step, self.last_steps.get(entry.mode, 0))
        epochs = epochs_of(entry.mode for entry in entries)
        return [replace(each, epoch=epoch) for each, epoch in zip(entries, epochs, strict=True)]

    def write_frame(self) -> None:
        """Write everything but the index."""
        inside = self._target / _COLLECTIONS
        inside.mkdir(parents=True)
        collections = {
            name: {"name": name, "include_regex": [], "tensor_names": list(tensors)}
            for name, tensors in self.collections.items()
        }
        document = {"collections": collections, "_meta": {"num_workers": 1}}
        (inside / f"{self._worker}_collections.json").write_text(json.dumps(document))
        (self._target / "events").symlink_to(self._source / "events", target_is_directory=True)
        (self._target / _END_FILE).write_text("")

    def write(self, entries: Sequence[_Entry]) -> Iterator[SavedStep]:
        """Write the staged index, step by step."""
        trained = [entry for entry in entries if entry.mode in ("TRAIN", "GLOBAL")]
        self._trained = len(trained)
        full = evenly(trained, MAX_FULL_STEPS)
        weight = sum(entry.size for entry in full)
        if weight > MAX_FULL_BYTES:
            full = evenly(full, max(2, int(len(full) * MAX_FULL_BYTES / weight)))
        whole = {entry.path for entry in full}
        self._full = len(whole)
        for entry in entries:
            document = self._sound(entry.path)
            if document is None:
                continue
            tensors = [
                tensor
                for tensor in document["tensor_payload"]
                if entry.path in whole or _is_loss(tensor["tensorname"], self.collections)
            ]
            if not tensors:
                continue
            target = self._target / "index" / entry.path.parent.name / entry.path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            staged = {**document, "tensor_payload": tensors, "shape_payload": []}
            target.write_text(json.dumps(staged))
            names = tuple(dict.fromkeys(_plain_name(tensor["tensorname"]) for tensor in tensors))
            yield SavedStep(step=entry.step, mode=entry.mode, epoch=entry.epoch, names=names)

    def notes(self) -> list[str]:
        """Return what was left out and why."""
        notes = []
        if not self._has_ended():
            notes.append(
                "Whether the training had ended when these files were copied is not recorded "
                f"(no {_END_FILE}): what follows covers the available steps."
            )
        if self._seen > MAX_STEPS:
            notes.append(f"{MAX_STEPS:,} of {self._seen:,} saved steps were read, evenly spaced.")
        if self._full < self._trained:
            notes.append(
                f"All tensors were read at {self._full:,} of {self._trained:,} saved training "
                "steps, evenly spaced; losses at all steps read."
            )
        if self.broken:
            notes.append(
                f"{self.broken:,} saved steps could not be read: their index or event files are "
                "broken or missing."
            )
        if len(self._workers) > 1:
            notes.append(f"Only worker {self._worker!r} of {len(self._workers)} was read.")
        return notes

    def _has_ended(self) -> bool:
        """Whether something says so: smdebug leaves it to SageMaker to write the end file.

        That lies beside each part of a job's output, and a job that ended has a model or a report.
        """
        job = self._source.parent
        places = (self._source, job / "profiler-output", job / "profiler-output/framework")
        ended = any((place / _END_FILE).is_file() for place in places)
        model = any((job / name).is_file() for name in _DELIVERED)
        return ended or model or any(job.glob("rule-output/*/profiler-output"))

    def _entry(self, path: Path) -> _Entry | None:
        document = self._sound(path)
        if document is None:
            return None
        meta, size = document["meta"], sum(each["length"] for each in document["tensor_payload"])
        return _Entry(path=path, mode=meta["mode"], step=meta["mode_step"], size=size)

    def _sound(self, path: Path) -> dict[str, Any] | None:
        """Return an index file with those tensors that lie inside an event file of the folder."""
        if path.is_symlink() or path.stat().st_size > _MAX_INDEX_BYTES:
            return None
        document = read_object(path) or {}
        meta, payload = document.get("meta"), document.get("tensor_payload")
        if not isinstance(meta, dict) or not isinstance(payload, list):
            return None
        mode, step = str(meta.get("mode")).strip(), meta.get("mode_step")
        size = self._event_bytes(meta.get("event_file_name"))
        sound = [tensor for tensor in payload if _is_inside(tensor, size)]
        if mode not in _MODES or not _is_count(step) or not sound:
            return None
        meta = {"mode": mode, "mode_step": step, "event_file_name": meta["event_file_name"]}
        return {"meta": meta, "tensor_payload": sound}

    def _event_bytes(self, name: object) -> int:
        """Return the size of an event file; 0 for one that is not below the folder's events."""
        if not isinstance(name, str) or not name.startswith("events/"):
            return 0
        path = (self._source / name).resolve()
        inside = path.is_relative_to(self._source / "events") and path.is_file()
        return path.stat().st_size if inside else 0


def _is_loss(name: str, collections: Mapping[str, Sequence[str]]) -> bool:
    return name in collections.get("losses", ()) or bool(_LOSS_NAME.fullmatch(name))


def _read_collections(source: Path) -> tuple[str, dict[str, list[str]]]:
    """Return the worker that is read, and the names of tensors by collection."""
    for path in sorted(source.glob(f"{_COLLECTIONS}/*_collections.json")):
        collections = (read_object(path) or {}).get("collections")
        if not isinstance(collections, dict):
            continue
        names = {}
        for name, collection in collections.items():
            tensors = collection.get("tensor_names") if isinstance(collection, dict) else None
            if isinstance(tensors, list):
                names[str(name)] = [tensor for tensor in tensors if isinstance(tensor, str)]
        return path.name.removesuffix("_collections.json"), names
    return "worker_0", {}


def _plain_name(name: str) -> str:
    """Return the name of the tensor that a saved reduction stands for; other names unchanged."""
    match = _REDUCTION.fullmatch(name)
    return match[1] if match else name


def _is_inside(tensor: object, size: int) -> bool:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("tensorname"), str):
        return False
    start, length = tensor.get("start_idx"), tensor.get("length")
    return _is_count(start) and isinstance(length, int) and 0 < length <= size - start


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
