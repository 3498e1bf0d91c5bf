"""How much a data set is, before any of it is read or sent."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from platforms import Platform
from platforms.errors import shown
from tasks.dataset.checking.layout import read_layout
from tasks.dataset.checking.scan import Layout
from tasks.dataset.findings import DataProblems
from tasks.dataset.source import data_root, is_remote, list_source, require_folder
from tasks.parameters.run import DataParameters


class DataSize(BaseModel):
    """How much a data set is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: int
    bytes: int


def data_size(platform: Platform, data: DataParameters, layout: Layout | None = None) -> DataSize:
    """Return the number and the bytes of a data folder's images, unopened; or of a prefix's.

    ``layout`` is the folder's if it was just read; None: read it.

    Raises:
        DataError: no such folder, or no classes in it. StoreFailed: the bucket cannot be listed.
    """
    if is_remote(data.path):
        there = list_source(platform, data.path).values()
        return DataSize(files=len(there), bytes=sum(listed.size for listed in there))
    root = data_root(data.path)
    require_folder(data.path, data.shown_path)
    try:
        layout = layout or read_layout(root, data.reading())
    except DataProblems as error:
        raise error.named(shown(data.shown_path)) from error
    return DataSize(files=len(layout.candidates), bytes=layout.bytes)
