"""``whippet predict``: ask an endpoint about pictures, or label a folder without one."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.console import say
from platforms.errors import DataError, EndpointFailed, ParameterError

if TYPE_CHECKING:
    from platforms import Platform, Settings
    from tasks.runs.record_parts import Prediction
    from tasks.transform.parameters import TransformParameters

HELP = "ask an endpoint about images"
# A model server that ended is started again within seconds.
_WAITS = (1.0, 2.0, 4.0)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "image", nargs="+", help="JPEG or PNG files, or folders; with --out, one folder"
    )
    parser.add_argument("--endpoint", help="its name (default: the latest run's)")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="label a whole folder in a batch transform job, without an endpoint: .csv or .jsonl",
    )
    parser.add_argument(
        "--training-job", metavar="NAME", help="with --out: whose model (default: the latest run's)"
    )
    parser.add_argument("--instance-type", help="with --out: default ml.m5.large")
    parser.add_argument("--max-usd", metavar="USD", help="with --out: hard cap, or it refuses")


def command(arguments: argparse.Namespace) -> int:
    """Print the endpoint's labels for each picture; with ``--out``, label a folder without one.

    A picture without an answer is reported, and the others continue; returns 1 if there was one.
    """
    if arguments.out:
        from cli.transform import predict_folder

        return predict_folder(_folder_parameters(arguments))
    from platforms import connect
    from tasks.endpoints.about import about_endpoint, require_answering
    from tasks.endpoints.pictures import pictures
    from tasks.endpoints.predictions import read_image
    from tasks.parameters.typed_path import expanded

    _require_no_transform_options(arguments)
    platform = connect()
    endpoint = arguments.endpoint or _latest_endpoint(platform.settings)
    paths = [expanded(image) for image in arguments.image]
    typed = dict(zip(paths, arguments.image, strict=True))
    images = [(path, typed.get(path, str(path))) for path in pictures(paths)]
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
        say(about_endpoint(platform, endpoint))
    return failures.told(len(images))


def _require_no_transform_options(arguments: argparse.Namespace) -> None:
    """Check that nothing was asked for that only ``--out`` heeds."""
    for option in ("training_job", "instance_type", "max_usd"):
        if getattr(arguments, option) is not None:
            raise ParameterError(f"--{option.replace('_', '-')} needs --out FILE")


def _folder_parameters(arguments: argparse.Namespace) -> TransformParameters:
    if len(arguments.image) != 1:
        raise ParameterError(f"--out takes one folder, not {len(arguments.image)} paths")
    if arguments.endpoint:
        raise ParameterError("--out uses a model, not an endpoint: leave out --endpoint")
    from tasks.transform.parameters import TransformParameters

    options = {
        "images": arguments.image[0],
        "out": arguments.out,
        "training_job": arguments.training_job,
        "instance_type": arguments.instance_type,
        "max_usd": arguments.max_usd,
    }
    return TransformParameters.model_validate(
        {key: value for key, value in options.items() if value is not None}
    )


class _Failures:
    """Pictures without an answer, reported as they occur; ``refused`` if the endpoint refused
    them."""

    def __init__(self) -> None:
        self._count = 0
        self.refused = False

    def add(self, name: str, error: Exception) -> None:
        self._count += 1
        self.refused = self.refused or isinstance(error, EndpointFailed)
        text = str(error)
        say(text if repr(name) in text else f"{name}: {text}")

    def told(self, images: int) -> int:
        """Sum up; return the exit status."""
        if self._count and images > 1:
            say(f"{images - self._count} of {images} pictures answered")
        return 1 if self._count else 0


def _answer(platform: Platform, endpoint: str, path: Path, name: str) -> list[Prediction]:
    from botocore.exceptions import ClientError

    from tasks.endpoints.predictions import ask, read_image

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


def _latest_endpoint(settings: Settings) -> str:
    from tasks.runs.record import read_run

    try:
        deployed = read_run(settings, "latest").endpoint
    except FileNotFoundError:
        deployed = None
    if deployed is None:
        raise EndpointFailed(
            "the latest run has no endpoint: give --endpoint NAME, see `whippet endpoints`"
        )
    return deployed.endpoint
