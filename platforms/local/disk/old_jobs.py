"""Ended jobs: their working files, the models of trials that lost, and jobs of no run at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from platforms.job_status import TERMINAL
from platforms.local.context import LocalContext
from platforms.local.copies import remove_tree
from platforms.local.disk.sizes import size_of
from platforms.local.records import Kind, Missing, Record
from platforms.old_files import Needed, OldFiles
from platforms.processes.process import ProcessId, alive

# The status, and what a person calls it.
_KINDS: dict[Kind, tuple[str, str]] = {
    "training-jobs": ("TrainingJobStatus", "training job"),
    "tuning-jobs": ("HyperParameterTuningJobStatus", "tuning job"),
    "transform-jobs": ("TransformJobStatus", "transform job"),
}


def old_jobs(context: LocalContext, age: timedelta, needed: Needed) -> Iterator[OldFiles]:
    """Yield what ended jobs left that is older than ``age``.

    A job of a run that is known here, or of nobody's run, keeps its record, log and metrics. What
    it had below ``/opt/ml`` goes: what was to be kept of it is in the bucket.
    """
    served = _served(context)
    for kind in _KINDS:
        for record in context.records.list(kind):
            name, changed = _name(record), _changed(record)
            if changed is None or datetime.now(UTC) - changed < age:
                continue
            known = needed.claims(name) or needed.claims(_search_of(record))
            if known or _output(record) in served or not _is_a_runs(context, record, needed.tag):
                yield from _working_files(context, kind, name, changed)
                yield from _lost_model(context, record, changed, needed, served)
            else:
                yield _whole(context, kind, name, changed)


def _name(record: Record) -> str:
    members = ("TrainingJobName", "HyperParameterTuningJobName", "TransformJobName")
    return str(next(record[member] for member in members if member in record))


def _changed(record: Record) -> datetime | None:
    """Return when an ended job was last changed; None when it has not ended, or is being judged."""
    status = next(record[member] for member, _ in _KINDS.values() if member in record)
    if status not in TERMINAL:
        return None
    supervisor = record["Local"].get("Supervisor")
    if supervisor is not None and alive(ProcessId.from_record(supervisor)):
        return None
    last = (
        record.get("LastModifiedTime") or record.get("TransformEndTime") or record["CreationTime"]
    )
    return datetime.fromisoformat(last)


def _search_of(record: Record) -> str:
    """Return the name of a trial's search; empty for all that is no trial."""
    return str(record.get("TuningJobArn", "")).rpartition("/")[2]


def _is_a_runs(context: LocalContext, record: Record, tag: str) -> bool:
    """Tell whether a run made a job, by its tag; trials have none, but their search has."""
    search = _search_of(record)
    # Only a clean-up removes a search.
    tagged = context.records.find("tuning-jobs", search) if search else record
    return tagged is None or any(each["Key"] == tag for each in tagged.get("Tags", []))


def _output(record: Record) -> str:
    """Return the URI of a training job's model."""
    return str(record.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""))


def _served(context: LocalContext) -> set[str]:
    """Return the URIs of all archives that models and endpoints are made of."""
    containers = [
        record.get("PrimaryContainer") or (record.get("Containers") or [{}])[0]
        for record in context.records.list("models")
    ]
    for record in context.records.list("endpoints"):
        local = record["Local"]
        for deployment in (local["Pending"], local.get("Deployed"), local.get("Lost")):
            containers += [deployment["Container"]] if deployment else []
    uris = {str(each.get("ModelDataUrl", "")) for each in containers}
    sources = {
        str(each.get("Environment", {}).get("SAGEMAKER_SUBMIT_DIRECTORY", ""))
        for each in containers
    }
    return (uris | sources) - {""}


def _working_files(
    context: LocalContext, kind: Kind, name: str, changed: datetime
) -> Iterator[OldFiles]:
    folders = _folders(context.records.folder(kind, name))
    taken = sum(map(size_of, folders))
    if taken:
        yield OldFiles(
            what=f"working files of {_KINDS[kind][1]} {name}",
            bytes=taken,
            changed=changed,
            remove=partial(_remove_all, folders),
        )


def _folders(folder: Path) -> list[Path]:
    """Return what a job's folder holds beside its record, log and metrics, which are files."""
    return [each for each in folder.iterdir() if each.is_dir() and not each.is_symlink()]


def _lost_model(
    context: LocalContext,
    record: Record,
    changed: datetime,
    needed: Needed,
    served: set[str],
) -> Iterator[OldFiles]:
    """Yield the archives of a trial that no record names: another one won."""
    if "TuningJobArn" not in record or record["TrainingJobName"] in needed.words:
        return
    if _output(record) in served | needed.words:
        return
    base = record["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    folder = context.buckets.on_disk(f"{base}/{record['TrainingJobName']}")
    taken = 0 if folder is None else size_of(folder)
    if folder is not None and taken:
        yield OldFiles(
            what=f"model of trial {record['TrainingJobName']}, which did not win",
            bytes=taken,
            changed=changed,
            remove=partial(remove_tree, folder),
        )


def _whole(context: LocalContext, kind: Kind, name: str, changed: datetime) -> OldFiles:
    return OldFiles(
        what=f"{_KINDS[kind][1]} {name}, which no run here knows, with its log",
        bytes=size_of(context.records.folder(kind, name)),
        changed=changed,
        remove=partial(_forget, context, kind, name),
    )


def _forget(context: LocalContext, kind: Kind, name: str) -> None:
    with suppress(Missing):  # somebody else removed it
        context.records.delete(kind, name)


def _remove_all(folders: list[Path]) -> None:
    for folder in folders:
        remove_tree(folder)
