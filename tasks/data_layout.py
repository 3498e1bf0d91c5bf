"""Find the images of a data folder by its layout, without opening them.

Two layouts: ``train/ valid/ test/ <class>/...`` (also ``val``, ``validation``, any case; valid and
test may be missing) and flat ``<class>/...``. Images in folders below a class folder belong to
the class. Links are followed, loops are not.
"""

from __future__ import annotations

import stat
from pathlib import Path

from platforms.errors import DataError
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract import SPLITS, TEST_CHANNEL, TRAIN_CHANNEL, VALID_CHANNEL
from tasks.data_findings import data_error, shown, some
from tasks.data_scan import Layout, Scan, is_folder

SPLIT_FOLDERS = {
    "train": TRAIN_CHANNEL,
    "valid": VALID_CHANNEL,
    "val": VALID_CHANNEL,
    "validation": VALID_CHANNEL,
    "test": TEST_CHANNEL,
}


def data_root(path: str) -> Path:
    """Return the folder that a data path means: seen from here, else from the project."""
    given = Path(path).expanduser()
    return given if given.is_absolute() or given.is_dir() else PROJECT_ROOT / given


def read_layout(root: Path) -> Layout:
    """Walk a data folder.

    Raises:
        DataError: there is no folder, it cannot be read, or no class folders are in it.
    """
    try:
        mode = root.stat().st_mode
    except OSError as error:
        raise DataError(
            f"The data folder '{shown(str(root))}' cannot be read: {error.strerror or error}. "
            "Check the path and its rights."
        ) from error
    if not stat.S_ISDIR(mode):
        raise DataError(
            f"The data path '{shown(str(root))}' is a file, not a folder. "
            "Give a folder with a folder of images for each class (unpack an archive first)."
        )
    scan = Scan(root)
    folders = scan.folders(root)
    if scan.problems:
        raise data_error(root, scan.problems)
    splits = _split_folders(root, folders)
    if splits:
        scan.read_splits(splits, [folder for folder in folders if folder not in splits.values()])
    else:
        _require_class_folders(root, folders)
        for folder in folders:
            scan.read_class(folder, None)
    scan.check_classes()
    return scan.layout(tuple(split for split in SPLITS if split in splits))


def _split_folders(root: Path, folders: list[Path]) -> dict[str, Path]:
    """Return the split folders by channel, none when the layout is flat.

    A folder of the name "train" with images right in it is a class (of vehicles, say).
    """
    named = [folder for folder in folders if folder.name.casefold() in SPLIT_FOLDERS]
    nested = [folder for folder in named if _class_folders(folder)]
    if not nested and named and len(named) == len(folders):
        raise data_error(
            root,
            [
                f"{some([folder.name for folder in named])}: no class folders inside. Put the "
                "images of each class into a folder of its own, as in train/<class>/<file>"
            ],
        )
    if not nested:
        return {}
    splits: dict[str, Path] = {}
    for folder in named:
        split = SPLIT_FOLDERS[folder.name.casefold()]
        if split in splits:
            names = some([splits[split].name, folder.name])
            raise data_error(root, [f"{names} are both the {split} split; keep one"])
        splits[split] = folder
    if TRAIN_CHANNEL not in splits:
        names = some([folder.name for folder in named])
        raise data_error(
            root,
            [
                f"there is {names} but no 'train' folder. Add train/<class>/<file>, or give flat "
                "<class>/ folders and they are split for you"
            ],
        )
    return splits


def _require_class_folders(root: Path, folders: list[Path]) -> None:
    if not folders:
        raise data_error(
            root,
            [
                "it has no class folders. Put the images of each class into a folder of its own: "
                "<class>/<file>, or train/<class>/<file>"
            ],
        )
    if len(folders) == 1 and len(_class_folders(folders[0])) > 1:
        raise data_error(
            root,
            [
                f"'{shown(folders[0].name)}' is the only folder in it; training needs at least "
                f"two classes. Did you mean the folder '{shown(str(folders[0]))}'?"
            ],
        )


def _class_folders(folder: Path) -> list[Path]:
    """Return the visible folders of a folder, none when it cannot be read (reported later)."""
    try:
        return [path for path in sorted(folder.iterdir()) if is_folder(path)]
    except OSError:
        return []
