"""Upload a job's files to its buckets: archives and checkpoints.

The files of Debugger and profiler are in :mod:`platforms.local.debugger.live_output`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platforms.archives import regular_files, write_archive
from platforms.local.buckets.buckets import Buckets
from platforms.local.job_tree import JobTree
from sm_entrypoints.contract.files import is_staged


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """Uploads of one training job; ``record`` holds the members of its request."""

    tree: JobTree
    record: Mapping[str, Any]
    buckets: Buckets

    @property
    def model_uri(self) -> str:
        """URI of model.tar.gz, there or not."""
        return f"{self._output}/model.tar.gz"

    @property
    def _output(self) -> str:
        base = self.record["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        return f"{base}/{self.record['TrainingJobName']}/output"

    def restore_checkpoints(self) -> None:
        """Copy the checkpoints of an earlier job with the same ``S3Uri`` into the tree."""
        if "CheckpointConfig" in self.record:
            source = self.record["CheckpointConfig"]["S3Uri"]
            self.buckets.pull(source, self.tree.checkpoints(self.record))

    def sync_checkpoints(self) -> None:
        """Copy new and changed checkpoints to ``S3Uri``; what is gone here stays there.

        What is being written at this moment comes when it is whole.
        """
        if "CheckpointConfig" in self.record:
            folder = self.tree.checkpoints(self.record)
            whole = [path for path in regular_files(folder) if not is_staged(path)]
            self.buckets.push(folder, self.record["CheckpointConfig"]["S3Uri"], files=whole)

    def collect(self, *, model: bool = False) -> None:
        """Bring archives and checkpoints to the bucket, however the job ended.

        With ``model``, model.tar.gz is created even if it is empty, because its URI will be
        reported.
        """
        self.sync_checkpoints()
        if model and not _is_folder(self.tree.model):
            self.tree.model.unlink(missing_ok=True)
            self.tree.model.mkdir()
        self._archive(self.tree.model, self.model_uri, empty=model)
        self._archive(self.tree.output_data, f"{self._output}/output.tar.gz")

    def _archive(self, folder: Path, uri: str, *, empty: bool = False) -> None:
        if _is_folder(folder) and (empty or regular_files(folder)):
            with self.buckets.writing(uri, self.tree.folder) as target:
                write_archive(folder, target)


def _is_folder(path: Path) -> bool:
    """Tell whether it is a folder itself: a link of a job may lead anywhere."""
    return path.is_dir() and not path.is_symlink()
