"""Ask an endpoint for the labels of images: files, and test images of a run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from platforms import Platform
from platforms.errors import DataError, EndpointFailed
from sm_entrypoints.contract.strangers.tables import read_table
from sm_entrypoints.images.files import kind_of
from tasks.endpoints.invoke import invoke, is_asked_directly
from tasks.runs.names import RunIdentity
from tasks.runs.record import PREDICTIONS_FILE, run_folder
from tasks.runs.record_parts import Prediction, TrainedModel
from tasks.storage.uris import read_object

# No picture that can be decoded has more: a PNG of 112 megapixels in RGB, stored as it is.
_MOST_FILE_BYTES = 512 * 1024 * 1024
_TYPES: dict[str | None, str] = {"JPEG": "image/jpeg", "PNG": "image/png"}
CONTENT_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


def predicted_images(platform: Platform, run: RunIdentity, count: int) -> list[tuple[str, str]]:
    """Return up to ``count`` test images, spread over the classes: path and predicted label."""
    text = (run_folder(platform.settings, run.name) / PREDICTIONS_FILE).read_text("utf-8")
    rows = read_table(text)
    step = max(1, len(rows) // count)
    return [(row["path"], row["predicted"]) for row in rows[::step][:count]]


def label_of(platform: Platform, endpoint: str, trained: TrainedModel, path: str) -> str:
    """Return the endpoint's label of one test image, by its path in the test channel."""
    image = read_object(platform, f"{trained.test_uri}/{path}")
    return ask(platform, endpoint, image, content_type_of(image))[0].label


def content_type_of(image: bytes) -> str:
    """Return the type of one of our test images: their names need not say it."""
    return "image/png" if kind_of(image[:64]) == "PNG" else "image/jpeg"


def suffix_of(path: str, content_type: str) -> str:
    """Return the suffix of a file for a test image: curl derives the type from the file's name."""
    suffix = Path(path).suffix
    if CONTENT_TYPES.get(suffix.lower()) == content_type:
        return suffix
    return next(end for end, kind in CONTENT_TYPES.items() if kind == content_type)


def ask(platform: Platform, endpoint: str, image: bytes, content_type: str) -> list[Prediction]:
    """Return the endpoint's predictions for one image.

    Raises:
        EndpointFailed: the model refused the image, failed, or gave no predictions; includes its
        message.
    """
    return _predictions(endpoint, invoke(platform, endpoint, image, content_type))


def query_command(platform: Platform, endpoint: str, image: str) -> str:
    """Return a shell command that asks the endpoint about an image file."""
    if is_asked_directly(platform, endpoint):
        return platform.invoke_command(endpoint, image)
    return f"whippet predict --endpoint {shlex.quote(endpoint)} {shlex.quote(image)}"


def _predictions(endpoint: str, body: bytes) -> list[Prediction]:
    try:
        predictions = [Prediction(**each) for each in json.loads(body)["predictions"]]
    except (ValueError, KeyError, TypeError):  # a model with handlers of its own
        predictions = []
    if not predictions:
        raise EndpointFailed(
            f"endpoint {endpoint!r} did not answer with predictions but with {body[:200]!r}: is "
            "its model one of Whippet's? `curl` shows the whole answer"
        )
    return predictions


def read_image(path: Path, typed: str | None = None) -> tuple[bytes, str]:
    """Return an image file's bytes and content type; ``typed`` is how the file is named.

    Raises:
        DataError: no such file, empty, larger than any picture, or JPEG or PNG neither by its first
            bytes nor by its name.
        OSError: it cannot be read.
    """
    name = typed or str(path)
    if not path.is_file():
        raise DataError(f"image {name!r} does not exist")
    size = path.stat().st_size
    if size > _MOST_FILE_BYTES:
        raise DataError(
            f"image {name!r} has {size / 1e6:,.0f} MB, more than the {_MOST_FILE_BYTES / 1e6:.0f} "
            "MB of the largest picture that can be decoded: make it smaller"
        )
    data = path.read_bytes()
    if not data:
        raise DataError(f"image {name!r} has 0 bytes")
    content_type = _TYPES.get(kind_of(data[:64])) or CONTENT_TYPES.get(path.suffix.lower())
    if content_type is None:
        kind = kind_of(data[:64])
        but_kind = f" but {kind}" if kind else ""
        raise DataError(f"image {name!r} is not a JPEG or PNG{but_kind}: convert it")
    return data, content_type
