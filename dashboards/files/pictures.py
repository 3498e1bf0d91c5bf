"""What features say about the pictures: ``pictures.json`` of a job, or of ``whippet data``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from dashboards.files.mistakes import media_type_of, read_picture
from sm_entrypoints.contract import PICTURES_FILE
from sm_entrypoints.contract.sentences import counted, ended

VERSION = 1


class _Part(BaseModel):
    """A part of the file. What another version wrote beside it is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Pictured(_Part):
    """A picture of a split: its path in it, its label, its thumbnail (empty for none)."""

    split: str
    path: str
    label: str
    file: str = ""

    @property
    def place(self) -> str:
        """Its path with its split before it, once."""
        return self.path if self.path.startswith(f"{self.split}/") else f"{self.split}/{self.path}"


class WrongLabel(Pictured):
    """A picture whose label is probably wrong; probabilities (0..1) of the better one and of it."""

    suggested: str
    probability: float
    label_probability: float


class WrongLabels(_Part):
    """The surest of all that were found, and how many those are."""

    count: int
    items: list[WrongLabel]


class LookAlike(_Part):
    """Two pictures of different splits that a network finds alike; 1 is the same."""

    first: Pictured
    second: Pictured
    cosine: float


class LookAlikes(_Part):
    """The most alike, how many there are, and how many copies the data check tells already."""

    count: int
    copies: int = 0
    bar: float
    items: list[LookAlike]


class CurvePoint(_Part):
    """Accuracy (0..1) after learning from so many pictures, and its standard error."""

    pictures: int
    accuracy: float
    error: float


class LearningCurve(_Part):
    """Accuracy by pictures; ``gain`` is what twice as many would bring, None with ``why_not``."""

    points: list[CurvePoint]
    gain: float | None
    spread: float | None
    why_not: str = ""


class HardClass(_Part):
    """A class that is often taken for another one."""

    label: str
    pictures: int
    recall: float
    mistaken_for: str
    times: int


class Look(Pictured):
    """A mistake with the picture as it is, and (``file``) where the network looked."""

    predicted: str
    probability: float
    picture: str = ""


class Looks(_Part):
    """The worst mistakes, or why there are none to show."""

    items: list[Look]
    why_not: str = ""


class PicturesDocument(_Part):
    """The whole file. A part is None when there was no time for it: ``left_out`` says so."""

    version: int
    network: str
    pictures: dict[str, int]
    accuracy: float | None = None
    knows: bool | None = None
    wrong_labels: WrongLabels | None = None
    look_alikes: LookAlikes | None = None
    learning_curve: LearningCurve | None = None
    hard_classes: list[HardClass] = []
    where: Looks = Looks(items=[])
    notes: list[str] = []
    left_out: list[str] = []
    seconds: float = 0.0

    @property
    def total(self) -> int:
        """How many pictures were examined."""
        return sum(self.pictures.values())

    @property
    def wrong_sentence(self) -> str:
        """How many labels may be wrong: a claim to look at, many of which are false."""
        if self.wrong_labels is None:
            return "Labels were not examined."
        if not self.knows:
            return (
                "Nothing can be said of the labels: the network's features have little to do with "
                "them."
            )
        count, of = self.wrong_labels.count, counted(self.total, "picture")
        if not count:
            return f"None of {of} seems to have a wrong label."
        return f"{count:,} of {of} may have the wrong label."

    @property
    def alike_sentence(self) -> str:
        """How many pictures look like one of another split."""
        if self.look_alikes is None:
            return "Splits were not compared."
        count, copies = self.look_alikes.count, self.look_alikes.copies
        beside = f" The data check names {copies:,} more, which are copies." if copies else ""
        if not count:
            return f"No picture looks like one of another split to the network.{beside}"
        looks = "looks" if count == 1 else "look"
        return f"{counted(count, 'picture')} {looks} like one of another split.{beside}"

    @property
    def curve_sentence(self) -> str:
        """What twice as many pictures would bring."""
        curve = self.learning_curve
        if curve is None:
            return "What more pictures would bring was not examined."
        if curve.gain is None or curve.spread is None:
            return ended(f"What more pictures would bring cannot be told: {curve.why_not}")
        return (
            "Twice as many pictures would bring about "
            f"{100 * curve.gain:+.1f} points of accuracy (± {100 * curve.spread:.1f})."
        )


class Picture(NamedTuple):
    """The content of a JPEG or PNG file and its media type; both empty when there is none."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFindings:
    """The file, and the pictures that it names, by their names."""

    document: PicturesDocument
    images: Mapping[str, Picture]


def read_picture_findings(folder: Path) -> PictureFindings | None:
    """Return the findings in a job's output folder, None when there are none.

    Raises:
        ValueError: the file is not in its format, of a newer version, or names a picture that lies
            outside the folder or is none; names the file.
    """
    path = folder / PICTURES_FILE
    if not path.is_file():
        return None
    try:
        document = PicturesDocument.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise ValueError(f"{path}: {where}: {first['msg']}") from error
    if document.version > VERSION:
        raise ValueError(f"{path} has version {document.version}, but this code reads {VERSION}")
    images = {}
    for name in filter(None, _names(document)):
        content = read_picture(folder, name, str(path))
        images[name] = Picture(content, media_type_of(content, str(path)))
    return PictureFindings(document=document, images=images)


def _names(document: PicturesDocument) -> Iterator[str]:
    parts: list[Sequence[Pictured]] = [document.where.items]
    if document.wrong_labels:
        parts.append(document.wrong_labels.items)
    for pair in document.look_alikes.items if document.look_alikes else ():
        parts.append((pair.first, pair.second))
    for part in parts:
        yield from (each.file for each in part)
    yield from (look.picture for look in document.where.items)
