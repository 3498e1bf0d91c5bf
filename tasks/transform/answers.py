"""The answers of a batch transform job as one file: one row per picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

from pydantic import BaseModel, ConfigDict, JsonValue

from dashboards.artifacts.tables import markdown_table
from platforms import Platform
from platforms.errors import DataError, ParameterError
from platforms.files import write_atomically
from sm_entrypoints.contract.sentences import counted
from sm_entrypoints.contract.strangers.tables import table
from tasks.storage.uris import read_object
from tasks.transform.pictures import Pictures

_SUFFIXES = (".csv", ".jsonl")


class TransformResult(TypedDict):
    """What a transform gave; ``failed`` are the pictures without an answer."""

    out: str
    answered: int
    failed: list[str]


class Answer(BaseModel):
    """The result for one picture.

    Attributes:
        predictions: labels with their probabilities, most probable first. answer: what a model with
        its own handlers answered instead. error: why there is neither.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    predictions: list[dict[str, JsonValue]] = []
    answer: str | None = None
    error: str | None = None


def require_writable(out: Path, typed: str | None = None) -> None:
    """Check before any work that the answers can be written; ``typed`` is how ``out`` is named.

    Raises:
        ParameterError: another suffix, a folder, or no folder to write into.
    """
    name = typed or str(out)
    if out.suffix.lower() not in _SUFFIXES:
        raise ParameterError(
            f"--out {name!r} must end in .csv (the best label) or .jsonl (all labels)"
        )
    if out.is_dir():
        raise ParameterError(f"--out {name!r} is a folder: name a file in it")
    if not out.absolute().parent.is_dir():
        raise ParameterError(f"--out {name!r}: there is no folder {str(out.parent)!r}")


def read_answers(
    platform: Platform, pictures: Pictures, uri: str, reason: str | None
) -> list[Answer]:
    """Return an answer a picture, in the order of their names.

    ``reason`` is what the job gives for those that have none.
    """
    return [_read(platform, each.name, f"{uri}/{each.name}.out", reason) for each in pictures.found]


def _read(platform: Platform, image: str, uri: str, reason: str | None) -> Answer:
    try:
        text = read_object(platform, uri).decode("utf-8", "replace")
    except DataError:
        return Answer(image=image, error=f"no answer: {reason or 'the job gave no reason'}")
    try:
        labels = json.loads(text)["predictions"]
        predictions = [
            {"label": str(each["label"]), "probability": float(each["probability"])}
            for each in labels
        ]
    except (ValueError, KeyError, TypeError):
        return Answer(image=image, answer=text)
    return Answer(image=image, predictions=predictions)


def write_answers(answers: list[Answer], out: Path) -> None:
    """Replace ``out`` by the answers, atomically."""
    text = _csv(answers) if out.suffix.lower() == ".csv" else _lines(answers)
    write_atomically(out, text.encode("utf-8", "surrogateescape"))


def _csv(answers: list[Answer]) -> str:
    nothing = {"label": "", "probability": ""}
    best = [each.predictions[0] if each.predictions else nothing for each in answers]
    return table(
        ("image", "label", "probability", "answer", "error"),
        (
            (each.image, found["label"], found["probability"], each.answer or "", each.error or "")
            for each, found in zip(answers, best, strict=True)
        ),
    )


def _lines(answers: list[Answer]) -> str:
    return "".join(
        json.dumps(each.model_dump(exclude_none=True), ensure_ascii=False) + "\n"
        for each in answers
    )


_SHOWN = 50


def transform_markdown(answers: list[Answer], out: str) -> str:
    """Return the first answers as the markdown of their artifact, and where the rest is."""
    rows = [
        {
            "picture": each.image,
            "label": each.predictions[0]["label"] if each.predictions else each.answer or "",
            "probability": each.predictions[0]["probability"] if each.predictions else "",
            "error": each.error or "",
        }
        for each in answers[:_SHOWN]
    ]
    more = f"\n\nand {len(answers) - _SHOWN} more in `{out}`" if len(answers) > _SHOWN else ""
    shown = markdown_table(rows, ["picture", "label", "probability", "error"])
    return f"# {counted(len(answers), 'picture')}\n\n{shown}{more}"
