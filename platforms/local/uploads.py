"""Bring a job's files to its buckets: archives, debugger and profiler output, checkpoints."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platforms.archives import regular_files, write_archive
from platforms.local.buckets import Buckets, staged
from platforms.local.job_tree import JobTree


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
            source = self.buckets.path(self.record["CheckpointConfig"]["S3Uri"])
            copy_changed(source, self.tree.checkpoints(self.record))

    def sync_checkpoints(self) -> None:
        """Copy new and changed checkpoints to ``S3Uri``; what is gone here stays there."""
        if "CheckpointConfig" in self.record:
            target = self.buckets.path(self.record["CheckpointConfig"]["S3Uri"])
            copy_changed(self.tree.checkpoints(self.record), target)

    def collect(self) -> None:
        """Bring everything that the job left to the bucket, however the job ended."""
        self.sync_checkpoints()
        self._archive(self.tree.model, self.model_uri)
        self._archive(self.tree.output_data, f"{self._output}/output.tar.gz")
        self._folder("DebugHookConfig", self.tree.tensors(self.record), "debug-output")
        self._folder("ProfilerConfig", self.tree.output_data / "profiler-output", "profiler-output")

    def _archive(self, folder: Path, uri: str) -> None:
        if folder.is_dir() and regular_files(folder):
            target = self.buckets.path(uri)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_archive(folder, target)

    def _folder(self, config: str, folder: Path, name: str) -> None:
        base = self.record.get(config, {}).get("S3OutputPath")
        if base:
            uri = f"{base.rstrip('/')}/{self.record['TrainingJobName']}/{name}"
            copy_changed(folder, self.buckets.path(uri))


def copy_changed(source: Path, target: Path) -> None:
    """Copy the regular files under ``source`` whose size or time differs; remove nothing.

    Each file is replaced atomically. A file that goes away meanwhile is passed over.
    """
    if not source.is_dir():
        return
    for path in regular_files(source):
        copy = target / path.relative_to(source)
        try:
            if not _same(path, copy):
                _copy(path, copy)
        except FileNotFoundError:
            continue


def _same(path: Path, copy: Path) -> bool:
    try:
        there = copy.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    here = path.stat()
    return (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns)


def _copy(path: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    temporary = staged(copy)
    try:
        shutil.copy2(path, temporary, follow_symlinks=False)
        temporary.replace(copy)
    finally:
        temporary.unlink(missing_ok=True)
