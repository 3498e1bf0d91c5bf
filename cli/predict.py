"""``whippet predict``: ask an endpoint about pictures, or label a folder without one."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from botocore.exceptions import ClientError

from cli.transform import predict_folder, require_no_transform_options
from platforms import Platform, Settings, connect
from platforms.errors import DataError, EndpointFailed
from tasks.endpoints.about import about_endpoint, require_answering
from tasks.endpoints.pictures import pictures
from tasks.endpoints.predictions import ask, read_image
from tasks.parameters.typed_path import expanded
from tasks.runs.record import read_run
from tasks.runs.record_parts import Prediction

# A model server that ended is started again within seconds.
_WAITS = (1.0, 2.0, 4.0)


def predict(arguments: argparse.Namespace) -> int:
    """Print the endpoint's labels for each picture; with ``--out``, label a folder without one.

    A picture that has no answer is reported, and the others go on; 1 when there was one.
    """
    if arguments.out:
        return predict_folder(arguments)
    require_no_transform_options(arguments)
    platform = connect()
    endpoint = arguments.endpoint or _latest_endpoint(platform.settings)
    given = [expanded(image) for image in arguments.image]
    typed = dict(zip(given, arguments.image, strict=True))
    images = [(path, typed.get(path, str(path))) for path in pictures(given)]
    if len(images) == 1:
        read_image(*images[0])  # nothing is asked when there is nothing to ask about
    require_answering(platform, endpoint)
    failures = _Failures()
    for path, name in images:
        try:
            predictions = _answer(platform, endpoint, path, name)
        except (DataError, EndpointFailed) as error:
            failures.add(name, error)
            continue
        _print(f"{name}:" if len(images) > 1 else f"{endpoint}:", predictions)
    if failures.refused:
        _say(about_endpoint(platform, endpoint))
    return failures.told(len(images))


class _Failures:
    """Pictures without an answer, told as they come; ``refused`` if the endpoint's was a no."""

    def __init__(self) -> None:
        self._count = 0
        self.refused = False

    def add(self, name: str, error: Exception) -> None:
        self._count += 1
        self.refused = self.refused or isinstance(error, EndpointFailed)
        text = str(error)
        _say(text if repr(name) in text else f"{name}: {text}")

    def told(self, images: int) -> int:
        """Sum up; return the exit status."""
        if self._count and images > 1:
            _say(f"{images - self._count} of {images} pictures answered")
        return 1 if self._count else 0


def _answer(platform: Platform, endpoint: str, path: Path, name: str) -> list[Prediction]:
    try:
        data, content_type = read_image(path, name)
    except OSError as error:
        raise DataError(f"{name}: {error.strerror or error}") from error
    for wait in _WAITS:
        try:
            return ask(platform, endpoint, data, content_type)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ServiceUnavailable":
                raise
        time.sleep(wait)
    return ask(platform, endpoint, data, content_type)


def _print(title: str, predictions: Sequence[Prediction]) -> None:
    print(title)
    for prediction in predictions:
        print(f"  {prediction.probability:7.4f}  {prediction.label}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _latest_endpoint(settings: Settings) -> str:
    try:
        deployed = read_run(settings, "latest").endpoint
    except FileNotFoundError:
        deployed = None
    if deployed is None:
        raise EndpointFailed(
            "the latest run has no endpoint: give --endpoint NAME, see `whippet endpoints`"
        )
    return deployed.endpoint
