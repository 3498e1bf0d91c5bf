"""Channels that a job can write to, as on AWS, without any effect on the bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from platforms.local.boundary.mechanism import Mechanism
from platforms.local.boundary.steps import Bind, Step, overlay
from platforms.local.buckets.buckets import Buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """How channels are delivered to one job.

    Attributes:
        scratch: where copy-on-write folders keep what the job writes.
    """

    mechanism: Mechanism
    scratch: Path
    buckets: Buckets

    def deliver(self, uri: str, folder: Path, seen: Path, *, read_only: bool) -> list[Step]:
        """Put the object or objects of ``uri`` into a new ``folder``, or return the step that does.

        ``seen`` is the folder as the job names it. The job may change, move and remove the files,
        unless they are ``read_only``, as FastFile's.

        Raises:
            WhippetError: there is no room, or the bucket cannot be read.
        """
        source = self.buckets.on_disk(uri)
        if source is None:
            self.buckets.mount(uri, folder)
            return []
        if source.is_dir() and self.mechanism.contained and read_only:
            folder.mkdir()
            return [Bind(source=str(source), target=str(seen))]
        if source.is_dir() and self.mechanism.overlays:
            folder.mkdir()
            return [overlay([source], self.scratch / "channels" / folder.name, seen)]
        self.buckets.mount(uri, folder)
        return []
