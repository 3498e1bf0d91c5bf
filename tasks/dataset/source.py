"""Where a data set's pictures come from: a folder here, or a prefix of a bucket.

Pictures in a bucket are first copied to a folder of ours, so undecodable pictures, duplicates and
pictures without a class are found before they cost anything, as with any folder. The folder mirrors
the prefix: only changes are fetched again, and objects deleted there are deleted here.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from platforms import Platform
from platforms.errors import DataError, SettingsError, shown
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract.sentences import clause, ended, nearest
from sm_entrypoints.images.files import is_system_name, may_be_picture
from tasks.dataset.identity import name_of_folder, name_of_uri
from tasks.parameters.run import DataParameters
from tasks.parameters.typed_path import expanded
from tasks.runs.record_model import RunFacts
from tasks.storage.download import wanted_object
from tasks.storage.listing import Listed, list_objects
from tasks.storage.receive import MANIFEST, Receiver
from tasks.storage.sync_progress import Moved
from tasks.storage.transfers import MOST_AT_A_TIME
from tasks.storage.uris import split_uri

_SCHEME = "s3://"
_FOLDER = "sources"


def is_remote(path: str) -> bool:
    """Tell whether a data path means a prefix of a bucket."""
    return path.startswith(_SCHEME)


def data_root(path: str) -> Path:
    """Return the folder that a data path means: seen from here, else from the project."""
    typed = expanded(path)
    return typed if typed.is_absolute() or typed.exists() else PROJECT_ROOT / typed


def require_folder(path: str, typed: str | None = None) -> None:
    """Check that a data path leads to a folder; ``typed`` is how it is named.

    Raises:
        DataError: names the path as typed, and the nearest existing one.
    """
    typed = typed or path
    if path.startswith(("http://", "https://", "file://")):
        raise DataError(
            f"The data path '{shown(typed)}' is an address: download it, unpack it, and give the "
            "folder, or s3://bucket/prefix."
        )
    try:
        mode = data_root(path).stat().st_mode
    except OSError as error:
        near = _nearest(path)
        check = "Check the path and its permissions."
        if not expanded(typed).is_absolute():
            check = "Check it, or give the whole path."
        hint = f"Did you mean '{shown(near)}'?" if near else check
        meant = str(data_root(path))  # a worker's run has no folder of its own to start from
        place = "" if meant == typed else f" at '{shown(meant)}'"
        raise DataError(
            f"The data folder '{shown(typed)}' cannot be read: "
            f"{ended(f'{clause(error.strerror or error)}{place}')} {hint}"
        ) from error
    if not stat.S_ISDIR(mode):
        raise DataError(
            f"The data path '{shown(typed)}' is a file, not a folder. Give a folder with a folder "
            "of images for each class (unpack an archive first)."
        )


def _nearest(path: str) -> str | None:
    """Return the path with its first part that is not there put right, if one is near."""
    typed = Path(path)
    lines = [*reversed(typed.parents), typed]
    missing = next((each for each in lines if not expanded(str(each)).exists()), None)
    if missing is None or missing.name in ("", ".."):
        return None
    try:
        names = [each.name for each in expanded(str(missing.parent)).iterdir() if each.is_dir()]
    except OSError:
        return None
    shown = (name for name in names if not name.startswith("."))
    near = nearest(missing.name, shown, cutoff=0.7)
    return str(missing.with_name(near[0]) / typed.relative_to(missing)) if near else None


def default_name(path: str) -> str:
    """Return the default name of a data set."""
    return name_of_uri(path) if is_remote(path) else name_of_folder(data_root(path))


def same_source(first: str, second: str) -> bool:
    """Tell whether two data paths mean the same pictures."""
    return default_name(first) == default_name(second)


def list_source(platform: Platform, uri: str) -> dict[str, Listed]:
    """Return the objects below a prefix that may be pictures, by their path below it.

    Raises:
        DataError: there are none, or it is not an S3 URI.
        StoreFailed: the bucket cannot be listed.
    """
    bucket, prefix = split_uri(uri.rstrip("/"))
    there = list_objects(platform.store(bucket), prefix)
    pictures = {key: each for key, each in there.items() if _may_be_data(key, each)}
    if not pictures:
        other = f" (only {len(there)} other objects)" if there else ""
        raise DataError(
            f"There are no pictures below '{uri}'{other}: check bucket and prefix, as in "
            "s3://bucket/pets with train/<class>/<file> or <class>/<file> below it."
        )
    return pictures


def bring_source(
    platform: Platform, uri: str, *, progress: Callable[[Moved], None] | None = None
) -> Path:
    """Return the folder that mirrors a prefix, up to date.

    Raises:
        DataError: there are no pictures, or a key is not a valid file name. SettingsError: the disk
        has no room for them. StoreFailed: an object cannot be read.
    """
    there = list_source(platform, uri)
    bucket, prefix = split_uri(uri.rstrip("/"))
    folder = platform.settings.home / _FOLDER / name_of_uri(uri)
    _require_room(folder, there, uri)
    files = [wanted_object(key, listed) for key, listed in sorted(there.items())]
    receiver = Receiver(platform.store(bucket), prefix, folder, "md5")
    receiver.receive_all(files, progress, MOST_AT_A_TIME)
    _remove_others(folder, there)
    return folder


def _may_be_data(key: str, listed: Listed) -> bool:
    """Leave out folder markers, system files, and files without a picture's name."""
    parts = key.split("/")
    if not listed.size or not parts[-1] or parts[-1] == MANIFEST:
        return False
    return may_be_picture(parts[-1]) and not any(is_system_name(part) for part in parts)


def _require_room(folder: Path, there: Mapping[str, Listed], uri: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {key: listed.size for key, listed in there.items()}
    here = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    missing = sum(size for key, size in sizes.items() if here.get(folder / key) != size)
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise SettingsError(
            f"{uri} has {missing / 1e9:.1f} GB still to download, and '{folder}' has room for "
            f"{free / 1e9:.1f} GB: set WHIPPET_HOME to a larger disk"
        )


def _remove_others(folder: Path, there: Mapping[str, Listed]) -> None:
    """Remove what left the prefix: it would be trained on."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in there:
            path.unlink()


def dataset_name(parameters: DataParameters, facts: RunFacts) -> str:
    """Return the name of the data set in the bucket; a resumed run keeps its own.

    ``facts`` are those of a run that goes on: earlier versions named data sets otherwise.
    """
    return parameters.name or facts.data.dataset or default_name(parameters.path)
