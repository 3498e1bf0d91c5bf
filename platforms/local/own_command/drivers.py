"""Redirect the SDKs' driver scripts to the job's folder where there is no ``/opt/ml``."""

from __future__ import annotations

import shutil
from pathlib import Path

from platforms.local.job_tree import JobTree
from platforms.local.own_command.command import placed

_CHANNEL = "sm_drivers"
_SCRIPTS = (".py", ".sh")


def place_drivers(tree: JobTree, root: Path) -> None:
    """Rewrite the scripts of the SDKs' channel, in a copy of it, for a tree at ``root``.

    Does nothing for jobs without such a channel, or that have an ``/opt/ml`` of their own.

    Raises:
        JobTreeError: a shell would misread the path of ``root``.
    """
    channel = tree.data / _CHANNEL
    scripts = [path for path in channel.rglob("*") if path.suffix in _SCRIPTS and path.is_file()]
    changed = {}
    for path in scripts:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        here = placed(text, root)
        if here != text:
            changed[path.relative_to(channel)] = here
    if not changed:
        return
    if channel.is_symlink():  # into the bucket, which is nothing to write to
        source = channel.resolve()
        channel.unlink()
        shutil.copytree(source, channel)
    for name, text in changed.items():
        (channel / name).write_text(text, encoding="utf-8", errors="surrogateescape")
