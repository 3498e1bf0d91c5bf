"""Find the images of a data folder by its layout, without opening more than their first bytes.

``train/ valid/ test/ <class>/...`` in all its usual names (:mod:`tasks.dataset.folders.structure`),
flat ``<class>/...``, and ``<class>/<split>/...``. Images in folders below a class folder belong to
the class. Links are followed, loops are not.
"""

from __future__ import annotations

import stat
from pathlib import Path

from platforms.errors import DataError, shown
from sm_entrypoints.contract.sentences import ended
from tasks.dataset.checking.scan import Layout, Scan
from tasks.dataset.findings import data_error
from tasks.dataset.folders.reading import Reading
from tasks.dataset.folders.structure import read_structure
from tasks.dataset.folders.tree import Tree


def read_layout(root: Path, reading: Reading | None = None) -> Layout:
    """Walk a data folder: each folder is listed once, each file looked up once.

    A run walks three times, on purpose: before it starts a server, when it plans, and when it
    checks the pictures. Minutes or a resume lie between, in which pictures may come, go or change,
    and each time counts what is there then. A sync does not walk: it sends what was checked, and
    refuses a file that changed since.

    Args:
        root: the folder.
        reading: how to read it.

    Raises:
        DataError: there is no folder, it cannot be read, no class folders are in it, or it is
        unclear which of them are splits.
    """
    try:
        mode = root.stat().st_mode
    except OSError as error:
        raise DataError(
            f"The data folder '{shown(str(root))}' cannot be read: "
            f"{ended(error.strerror or error)} Check the path and its permissions."
        ) from error
    if not stat.S_ISDIR(mode):
        raise DataError(
            f"The data path '{shown(str(root))}' is a file, not a folder. "
            "Give a folder with a folder of images for each class (unpack an archive first)."
        )
    reading = reading or Reading()
    tree = Tree()
    scan = Scan(root, tree, converts=reading.convert_to is not None)
    scan.note(root)
    if scan.problems:
        raise data_error(root, *scan.problems)
    return scan.read(read_structure(root, tree, reading.splits))
