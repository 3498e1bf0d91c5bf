"""The output of a job, in the folder of its run."""

from __future__ import annotations

import shutil
from pathlib import Path

from dashboards.files.frames import TrainingOutput, empty_training_output, read_training_output
from platforms import Platform
from platforms.archives import extract_archive
from sm_entrypoints.contract.kill_points import reach
from tasks.runs.record import OUTPUT_FOLDER
from tasks.storage.uris import download


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
    """Return the parsed output of the run's training job; empty when there is none yet."""
    path = folder / OUTPUT_FOLDER
    return read_training_output(path) if path.is_dir() else empty_training_output()
