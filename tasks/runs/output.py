"""The output of a job, in the folder of its run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from dashboards.files.frames import TrainingOutput, empty_training_output, read_training_output
from dashboards.files.pictures import PictureFindings, read_picture_findings
from platforms import Platform
from platforms.archives import extract_archive
from sm_entrypoints.contract.kill_points import reach
from tasks.runs.record import HEAD_FOLDER, OUTPUT_FOLDER
from tasks.storage.uris import download

_OF_HEAD = "The mistakes are those of the model whose head alone had learned."


def unpack_output(platform: Platform, uri: str, folder: Path, *, name: str = OUTPUT_FOLDER) -> None:
    """Download and unpack an output.tar.gz into ``name`` below ``folder``; an older output is
    replaced by a complete one only.
    """
    archive, fresh = folder / "output.tar.gz", folder / f".{name}.new"
    download(platform, uri, archive)
    shutil.rmtree(fresh, ignore_errors=True)
    extract_archive(archive, fresh)
    reach(f"replace {name}")
    shutil.rmtree(folder / name, ignore_errors=True)
    reach(f"{name} removed")
    fresh.rename(folder / name)
    reach(f"{name} replaced")
    archive.unlink()


def training_output(folder: Path) -> TrainingOutput:
    """Return the parsed output of the run's training job; empty when there is none yet.

    Where all layers learned, features changed and tell nothing of the pictures: what the training
    of the head told is still true.
    """
    path = folder / OUTPUT_FOLDER
    output = read_training_output(path) if path.is_dir() else empty_training_output()
    if output.pictures is not None:
        return output
    return replace(output, pictures=_told_by_head(folder / HEAD_FOLDER))


def _told_by_head(folder: Path) -> PictureFindings | None:
    try:
        found = read_picture_findings(folder)
    except ValueError:
        return None
    if found is None:
        return None
    notes = [*found.document.notes, _OF_HEAD]
    return replace(found, document=found.document.model_copy(update={"notes": notes}))
