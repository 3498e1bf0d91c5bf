"""The worst mistakes of an evaluation, each with its picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Thumbnails are at most 160 pixels wide; a larger file is not one of ours and would bloat a page.
MAX_PICTURE_BYTES = 262_144

_SIGNATURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One wrongly classified image of the test split.

    ``picture`` is a JPEG or PNG file's content, empty when the job left none; ``media_type`` is
    then empty too. ``probability`` (0..1) is what the model gave ``predicted``.
    """

    path: str
    label: str
    predicted: str
    probability: float
    picture: bytes
    media_type: str


def read_mistakes(folder: Path, listing: Path) -> list[Mistake]:
    """Return the mistakes that ``listing`` names, in its order (worst first).

    Raises:
        ValueError: the listing is not in its format, a picture lies outside ``folder``, is too
            large, or is neither JPEG nor PNG; names the listing and the entry.
    """
    if not listing.is_file():
        return []
    try:
        entries = json.loads(listing.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{listing}: not JSON: {error}") from error
    if not isinstance(entries, list):
        raise ValueError(f"{listing}: must be a JSON list, but got {entries!r:.80}")
    return [
        _mistake(folder, entry, f"{listing}, entry {number}")
        for number, entry in enumerate(entries, start=1)
    ]


def _mistake(folder: Path, entry: Any, where: str) -> Mistake:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: must be a JSON object, but got {entry!r:.80}")
    try:
        file = str(entry["file"])
        values = {name: str(entry[name]) for name in ("path", "label", "predicted")}
        probability = float(entry["probability"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: missing or malformed member: {error!r}") from error
    picture = read_picture(folder, file, where)
    return Mistake(
        **values, probability=probability, picture=picture, media_type=media_type_of(picture, where)
    )


def read_picture(folder: Path, file: str, where: str) -> bytes:
    """Return the content of a picture in a job's output; nothing where the job left none.

    Raises:
        ValueError: it lies outside ``folder``, or is too large for a page; names ``where``.
    """
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{where}: picture {file!r} lies outside the output folder")
    if not path.is_file():
        return b""
    if path.stat().st_size > MAX_PICTURE_BYTES:
        raise ValueError(f"{where}: picture {file!r} is larger than {MAX_PICTURE_BYTES} bytes")
    return path.read_bytes()


def media_type_of(picture: bytes, where: str) -> str:
    """Return the media type of a picture's content, empty for none.

    Raises:
        ValueError: it is neither JPEG nor PNG; names ``where``.
    """
    if not picture:
        return ""
    for signature, media_type in _SIGNATURES.items():
        if picture.startswith(signature):
            return media_type
    raise ValueError(f"{where}: the picture is neither JPEG nor PNG (starts {picture[:8]!r})")
