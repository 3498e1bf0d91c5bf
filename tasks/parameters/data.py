"""What people fill in about their data."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from pydantic import Field, field_validator

from platforms import Settings
from sm_entrypoints import contract
from tasks.dataset.folders.reading import Reading
from tasks.parameters.form import HIDDEN
from tasks.parameters.resources import Parameters, field_for
from tasks.parameters.typed_path import TypedPath, as_typed

# A text for each split, in place of a mapping of any names.
_SPLITS = {
    "properties": {
        split: {
            "type": "string",
            "title": f"Folder of {split}",
            "description": "Relative to the data.",
            "position": position,
        }
        for position, split in enumerate(contract.SPLITS)
    },
    "additionalProperties": False,
}


class DataParameters(Parameters):
    """The labelled images: ``train/ valid/ test/ <class>/`` or flat ``<class>/`` folders."""

    form_title = "data"
    form_advanced = "The data set's name, its splits, which files are read, and the seed."

    path: str = field_for("data.path", note="A relative path is the project's.", min_length=1)
    path_typed: TypedPath | None = Field(
        None,
        description="How path was typed, and where: shown in its place.",
        json_schema_extra={HIDDEN: True},
    )
    name: str | None = field_for("data.name", pattern=r"^[A-Za-z0-9](-*[A-Za-z0-9]){0,39}$")
    splits: dict[Literal["train", "valid", "test"], str] | None = field_for(
        "data.splits",
        note="Leave all three empty to have them recognised by their names; as JSON, {} means that "
        "every folder is a class.",
        form=_SPLITS,
    )
    convert: bool = field_for("data.convert")
    skip_bad: bool = field_for("data.skip_bad")
    delete_removed: bool = field_for("data.delete_removed")
    seed: int = field_for("data.seed", ge=0, form={"title": "Seed of the split"})
    valid_share: float = field_for("data.valid_share", gt=0, lt=0.5)
    test_share: float = field_for("data.test_share", gt=0, lt=0.5)

    @field_validator("splits")
    @classmethod
    def _splits_are_below(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        for split, name in (value or {}).items():
            path = PurePath(name)
            if not name.strip() or path.is_absolute() or ".." in path.parts:
                raise ValueError(
                    f"{split}={name!r}: name a folder in the data folder, such as {split}=Training"
                )
        if value and contract.TRAIN_CHANNEL not in value:
            raise ValueError("there must be a split to train on: name its folder as train=FOLDER")
        return value

    @property
    def shown_path(self) -> str:
        """The path as it was typed."""
        return as_typed(self.path, self.path_typed)

    def reading(self) -> Reading:
        """Return how the folder is to be read."""
        return Reading(
            splits=None if self.splits is None else {str(k): v for k, v in self.splits.items()},
            convert_to=Settings().home / "converted" if self.convert else None,
            skip_bad=self.skip_bad,
            seed=self.seed,
            valid_share=self.valid_share,
            test_share=self.test_share,
        )
