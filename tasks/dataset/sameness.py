"""Whether a resumed run still has the pictures it began with.

Its trials, its model and its verdict refer only to those. Others under the same name would silently
be trained on, compared with and served.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from platforms import Platform
from platforms.errors import DataError
from platforms.files import read_json
from sm_entrypoints.contract import TRAINING_SUMMARY_FILE
from sm_entrypoints.contract.sentences import counted
from tasks.dataset.checking.files import DataFile
from tasks.dataset.document import read_document
from tasks.dataset.identity import SCHEME, fingerprint_of_channels, fingerprint_over_paths
from tasks.dataset.syncing.manifest import Manifest, read_manifest
from tasks.runs.names import RunIdentity
from tasks.runs.record import OUTPUT_FOLDER, read_run, run_folder
from tasks.runs.record_model import RunRecord
from tasks.runs.record_parts import DataFacts
from tasks.storage.uris import split_uri

_DIGITS = 12


def require_same_pictures(
    folder: Path, run_record: RunRecord, files: Sequence[DataFile], fingerprint: str
) -> None:
    """Check that a resumed run finds the same pictures that it uploaded before.

    Args:
        folder: the run's.
        run_record: the run's, as it was before this start.
        files: the pictures that are there now.
        fingerprint: theirs.

    Raises:
        DataError: they are others; says how many there were and are, and what to do.
    """
    data = run_record.data
    recorded = data.fingerprint
    if data.uri is None or recorded is None:  # nothing was brought yet, so nothing was trained
        return
    if data.scheme == SCHEME:
        is_same = recorded == fingerprint
    else:
        rows = ((file.split, file.label, file.path, file.sha256) for file in files)
        is_same = recorded == fingerprint_over_paths(rows)
    if not is_same:
        now = f"{counted(len(files), 'picture')} of {len({file.label for file in files})} classes"
        raise DataError(
            f"Run '{run_record.name}' began with different pictures: then "
            f"{_before(folder, recorded)}, now {now} (fingerprint {fingerprint[:_DIGITS]}). Its "
            "trainings so far used only the former. Put them back to continue it, or start a "
            "new run; nothing was uploaded."
        )


def require_same_data(platform: Platform, run: RunIdentity) -> None:
    """Check that the bucket still holds the pictures of the run; one that noted none passes.

    Raises:
        DataError: another run brought other pictures under the same name, or is about to.
    """
    folder = run_folder(platform.settings, run.name)
    try:
        data = read_run(platform.settings, run.name).data
    except FileNotFoundError:
        return
    if data.uri is None or data.fingerprint is None:
        return
    bucket, prefix = split_uri(data.uri)
    manifest = read_manifest(platform.store(bucket), prefix)
    if manifest.pending:
        raise DataError(
            f"The data set {data.uri} of run '{run.name}' is being changed: a sync is running, "
            "or was interrupted. Let that sync finish first."
        )
    if not _is_same(folder, data, manifest):
        digits = manifest.fingerprint[:_DIGITS]
        there = f"{counted(len(manifest.files), 'picture')} (fingerprint {digits})"
        since = f", from {manifest.origin}" if manifest.origin else ""
        raise DataError(
            f"The data set {data.uri} is not what run '{run.name}' was trained on: that had "
            f"{_before(folder, data.fingerprint)}, and another run has replaced them by "
            f"{there}{since}. Start a new run; give it its own data set (--data-name) to keep "
            "the present one."
        )


def _is_same(folder: Path, data: DataFacts, manifest: Manifest) -> bool:
    if data.scheme == SCHEME:
        return data.fingerprint == manifest.fingerprint
    # A run of an earlier version: names and sizes, as its training job noted them.
    summary = folder / OUTPUT_FOLDER / TRAINING_SUMMARY_FILE
    noted = read_json(summary).get("fingerprints", {}).get("data") if summary.exists() else None
    sizes = {key: entry.size for key, entry in manifest.files.items()}
    return noted is None or noted == fingerprint_of_channels(sizes)


def _before(folder: Path, fingerprint: str) -> str:
    document = read_document(folder)
    pictures = (
        f"{counted(document.images, 'picture')} of "
        f"{counted(len(document.classes), 'class', 'classes')}"
        if document is not None and document.images
        else "others"
    )
    return f"{pictures} (fingerprint {fingerprint[:_DIGITS]})"
