"""What a sync refuses before its first change: another data set, objects not ours, a deletion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from platforms.errors import DataError, shown, some
from sm_entrypoints.contract.sentences import counted
from tasks.dataset.checking.files import DataFile
from tasks.dataset.identity import origin_of
from tasks.dataset.syncing.manifest import Manifest
from tasks.storage.listing import Listed

_ANOTHER_NAME = "Give this data set another name: --data-name NAME (data.name)"


def refuse_to_keep(stale: Sequence[str], prefix: str) -> None:
    """Stop rather than let jobs train on objects whose files left the data set."""
    if not stale:
        return
    raise DataError(
        f"The data set below '{prefix}' still has {counted(len(stale), 'object')} whose files "
        f"left it ({some(stale)}), and jobs would train on them. Delete them with "
        "--delete-removed (data.delete_removed), after which earlier runs can no longer be "
        "compared, or give the data set another name: --data-name NAME (data.name)."
    )


def refuse_strangers(
    wanted: dict[str, DataFile], manifest: Manifest, there: dict[str, Listed], prefix: str
) -> None:
    """Stop before the first change when the prefix is not ours to change."""
    ours = manifest.files.keys() | manifest.pending
    strangers = sorted(there.keys() - ours)
    if strangers:
        raise DataError(
            f"The data set below '{prefix}' has {counted(len(strangers), 'object')} that no sync "
            f"has put there ({some(strangers)}). Delete them. Or: {_ANOTHER_NAME}."
        )


def refuse_another(
    wanted: dict[str, DataFile], manifest: Manifest, root: Path, prefix: str
) -> None:
    """Stop before another data set is replaced: two people may use one bucket and one path."""
    contents = {file.sha256 for file in wanted.values()}
    stored = {entry.sha256 for entry in manifest.files.values()}
    if not stored:
        return
    if not (contents & stored or wanted.keys() & manifest.files.keys()):
        raise DataError(
            f"There is another data set below '{prefix}': "
            f"{counted(len(manifest.files), 'file')}, none of them in this one. {_ANOTHER_NAME}, "
            "or delete those objects."
        )
    shared = len(contents & stored)
    is_foreign = bool(manifest.origin) and manifest.origin != origin_of(root)
    if is_foreign and 2 * shared < min(len(contents), len(stored)):
        raise DataError(
            f"The data set below '{prefix}' is that of {shown(manifest.origin)}: of its "
            f"{len(stored)} different pictures this folder has {shared}. {_ANOTHER_NAME}."
        )
