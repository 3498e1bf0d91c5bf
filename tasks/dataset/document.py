"""``data.json`` in a run's folder: what the data check found. Written and read only here."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from platforms.errors import DataError, without_pydantics_words
from platforms.files import read_json, write_json
from sm_entrypoints.contract.sentences import clause
from tasks.dataset.findings import DataWarning
from tasks.runs.record import DATA_FILE


class _Part(BaseModel):
    """A part of the document. What another version wrote beside it is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SplitCounts(_Part):
    """How many images a split has, in all and of each class."""

    images: int
    per_class: dict[str, int]


class Spread(_Part):
    """The smallest, the median and the largest of all images, in pixels."""

    min: int
    median: int
    max: int


class DataDocument(_Part):
    """What a data check found. A part that an earlier version did not write has its default.

    Attributes:
        name: name of the data set, fit for an object key.
        root: the folder or the S3 prefix, printable.
        fingerprint: what changes with every picture that a job would see.
        bytes: of all images.
        sizes: spread of ``width`` and ``height``.
        split_source: ``folders`` if the user made all splits, ``stratified`` if we made any.
        left_out: how many files were left out because they cannot be used; None for none.
        left_out_list: path of the list of them.
    """

    name: str
    root: str
    fingerprint: str
    classes: list[str]
    splits: dict[str, SplitCounts]
    bytes: int = 0
    sizes: dict[str, Spread] = {}
    warnings: list[DataWarning] = []
    split_source: str = "folders"
    left_out: int | None = None
    left_out_list: str | None = None

    @property
    def images(self) -> int:
        """How many images the data set has."""
        return sum(split.images for split in self.splits.values())

    def as_json(self) -> dict[str, JsonValue]:
        """Return the document as JSON values."""
        return self.model_dump(mode="json", exclude_none=True)


def write_document(folder: Path, document: DataDocument) -> None:
    """Write the document into a run's folder: readers see this one or the one before."""
    write_json(folder / DATA_FILE, document.as_json())


def read_document(folder: Path) -> DataDocument | None:
    """Return the document of a run's folder; None when its data was not checked.

    Raises:
        DataError: it is damaged; names the file.
    """
    path = folder / DATA_FILE
    if not path.exists():
        return None
    try:
        return DataDocument.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(each) for each in first["loc"]) or "all of it"
        raise _damaged(path, f"{where}: {without_pydantics_words(first['msg'])}") from error
    except ValueError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, reason: object) -> DataError:
    return DataError(
        f"{path} is not what a data check writes ({clause(reason)}): resume the run, which checks "
        "its data again"
    )
