"""Bring what is to be explained to this machine: a folder, a run's name, or an S3 prefix."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import obstore

from platforms import Platform, Settings
from platforms.archives import ArchiveError, extract_archive
from platforms.errors import DataError
from sm_entrypoints.contract import INSTRUMENTATION_FOLDER
from tasks.runs.record import OUTPUT_FOLDER, RUN_FILE, run_folder
from tasks.storage.uris import download, split_uri

MAX_OBJECTS = 50_000
MAX_BYTES = 2 * 1024**3
_PARALLEL = 8
_ARCHIVE = "output.tar.gz"
# The tensors themselves: of these, fewer may be fetched; see imported_index.
_EVENT_FILE = re.compile(r"(^|/)events/.*\.tfevents$")
# Of all that lies below a job's prefix (models, checkpoints, logs), what can be explained.
_WANTED = re.compile(
    r"(^|/)(collections/.*\.json|index/.*\.json|events/.*\.tfevents|training_job_end\.ts"
    r"|incremental/.*\.json|pevents/.*\.json|profiler-reports/[^/]+\.json|output\.tar\.gz"
    r"|instrumentation/[^/]+|mistakes/[^/]+\.jpg|(training|evaluation|mistakes)\.json"
    r"|metrics\.jsonl|predictions\.csv)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Folders that together hold one job's traces, and notes on what was not fetched.

    ``run`` is the name of the run, if one was given.
    """

    label: str
    roots: Sequence[Path]
    notes: Sequence[str] = ()
    run: str | None = None


def fetch_source(
    source: str, work: Path, settings: Settings, connect: Callable[[], Platform]
) -> Source:
    """Return the folders of ``source``: a path, an ``s3://`` prefix, or the name of a run.

    Args:
        source: as the user gave it.
        work: a folder for what must be downloaded or unpacked.
        settings: where runs are.
        connect: gives the platform; called for an S3 prefix only.

    Raises:
        DataError: no such folder, run or prefix.
    """
    if source.startswith("s3://"):
        return _fetch(connect(), source, work)
    if not source.strip():
        raise DataError("name a folder, s3://bucket/prefix or a run")
    path = Path(source).expanduser()
    if path.is_dir():
        return _opened(source, path, work)
    if path.is_file() and path.name.endswith(".tar.gz"):
        extract_archive(path, work / "archive")
        return Source(label=source, roots=[work / "archive"])
    run = run_folder(settings, source)
    if not path.exists() and "/" not in source and (run / RUN_FILE).is_file():
        return Source(label=source, roots=[_run_output(run)], run=run.resolve().name)
    kind = "is a file" if path.exists() else "does not exist"
    raise DataError(
        f"{source!r} {kind}: give a folder that smdebug, SageMaker's profiler or a Whippet job "
        f"wrote, s3://bucket/prefix, or the name of a run in '{settings.runs}'"
    )


def _run_output(run: Path) -> Path:
    output = run / OUTPUT_FOLDER
    if not output.is_dir():
        raise DataError(f"run {run.resolve().name!r} has no training output yet: wait for its job")
    return output


def _opened(label: str, folder: Path, work: Path) -> Source:
    """Return a folder, and beside it what its output.tar.gz holds if that is a Whippet job's."""
    for archive in (folder / _ARCHIVE, folder / "output" / _ARCHIVE):
        if not archive.is_file() or (archive.parent / INSTRUMENTATION_FOLDER).is_dir():
            continue
        unpacked = work / "archive"
        try:
            extract_archive(archive, unpacked)
        except ArchiveError as error:
            return Source(label=label, roots=[folder], notes=[f"{_ARCHIVE} was left out: {error}"])
        return Source(label=label, roots=[folder, unpacked])
    return Source(label=label, roots=[folder])


def _fetch(platform: Platform, uri: str, work: Path) -> Source:
    bucket, key = split_uri(uri)
    prefix = key.rstrip("/")
    objects = _wanted(platform, bucket, prefix)
    if not objects:
        raise DataError(
            f"{uri} has nothing to explain: it has no object of smdebug, SageMaker's profiler or "
            "a Whippet job"
        )
    chosen, notes = _limited(objects)
    # The folder's own name says what it is: `incremental`, `pevents`.
    folder = work / (PurePosixPath(prefix).name or "source")
    with ThreadPoolExecutor(_PARALLEL) as pool:
        jobs = [
            pool.submit(download, platform, f"s3://{bucket}/{prefix}/{name}", folder / name)
            for name in chosen
        ]
        for job in jobs:
            job.result()
    opened = _opened(uri, folder, work)
    return Source(label=uri, roots=opened.roots, notes=[*notes, *opened.notes])


def _wanted(platform: Platform, bucket: str, prefix: str) -> dict[str, int]:
    """Return sizes by name below the prefix, of what can be explained."""
    sizes: dict[str, int] = {}
    for page in obstore.list(platform.store(bucket), prefix=prefix, chunk_size=1000):
        for item in page:
            name = str(item["path"]).removeprefix(prefix + "/")
            if _WANTED.search(f"{prefix}/{name}") and _is_safe(name):
                sizes[name] = int(item["size"])
        if len(sizes) > MAX_OBJECTS:
            raise DataError(
                f"s3://{bucket}/{prefix} has more than {MAX_OBJECTS:,} objects: give the prefix of "
                "one job, or of one part such as its profiler-output/"
            )
    return sizes


def _is_safe(name: str) -> bool:
    parts = name.split("/")
    return not any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts)


def _limited(sizes: dict[str, int]) -> tuple[list[str], list[str]]:
    """Return the names to fetch, and a note when event files had to be left out."""
    events = sorted(name for name in sizes if _EVENT_FILE.search(name))
    others = sorted(sizes.keys() - set(events))
    rest = MAX_BYTES - sum(sizes[name] for name in others)
    weight = sum(sizes[name] for name in events)
    if rest < 0 or (events and sizes[events[0]] > rest):
        raise DataError(
            f"{sum(sizes.values()) / 1e9:.1f} GB are more than the {MAX_BYTES / 1e9:.0f} GB that "
            "can be fetched: give the prefix of one part, such as the job's profiler-output/"
        )
    if weight <= rest:
        return others + events, []
    every = math.ceil(weight / rest)
    kept = events[::every]
    note = (
        f"{len(kept):,} of {len(events):,} saved steps were fetched, evenly spaced: all of "
        "them were too large."
    )
    return others + kept, [note]
