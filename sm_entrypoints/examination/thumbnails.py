"""Small pictures beside the findings: each picture once, whatever names it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from sm_entrypoints.contract import PICTURES_FOLDER
from sm_entrypoints.examination.clock import Deadline, OutOfTimeError
from sm_entrypoints.images.channels import Split
from sm_entrypoints.images.decoding import ImageError
from sm_entrypoints.images.look import look_of, looks_same
from sm_entrypoints.images.preparation import TRAINING_FORMATS, open_image

SIDE = 140
_QUALITY = 80


class Thumbnails:
    """Writes thumbnails into ``pictures/`` of a job's output folder, while there is time."""

    def __init__(self, folder: Path, deadline: Deadline) -> None:
        self._folder = folder
        self._deadline = deadline
        self._kept: dict[tuple[str, int], str] = {}
        self.side = SIDE

    def of(self, split: Split, index: int) -> str:
        """Return the name of a picture's thumbnail, from the output folder; empty for none.

        There is none when the file cannot be decoded any more, or there is no time.
        """
        key = (split.name, index)
        if key not in self._kept:
            self._kept[key] = self._made(split, index)
        return self._kept[key]

    def keep(self, name: str, image: Image.Image) -> str:
        """Write an image; return its name, from the output folder.

        Raises:
            OSError: it cannot be written.
        """
        folder = self._folder / PICTURES_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / name, "JPEG", quality=_QUALITY)
        return f"{PICTURES_FOLDER}/{name}"

    def look_the_same(self, one: tuple[Split, int], other: tuple[Split, int]) -> bool:
        """Tell whether the data check calls two pictures near-duplicates; no if time is up."""
        try:
            self._deadline.check()
            looks = [look_of(_opened(split, index)) for split, index in (one, other)]
        except (OutOfTimeError, ImageError):
            return False
        return looks_same(*looks)

    def _made(self, split: Split, index: int) -> str:
        try:
            self._deadline.check()
            image = _opened(split, index)
        except (OutOfTimeError, ImageError):
            return ""
        image.thumbnail((SIDE, SIDE))
        return self.keep(f"{split.name}-{index:06d}.jpg", image)


def _opened(split: Split, index: int) -> Image.Image:
    return open_image(split.file(index), formats=TRAINING_FORMATS, least_side=2 * SIDE)
