"""Serve the local SageMaker over HTTP, and print how clients find it."""

from __future__ import annotations

import argparse
import logging
import shlex
from typing import TYPE_CHECKING

from platforms.errors import ParameterError, without_pydantics_words

if TYPE_CHECKING:
    from platforms import Settings

HELP = "serve the local SageMaker over HTTP for boto3, the AWS CLI and the SageMaker SDK"

# The services that one port answers, by botocore's names of their variables.
_SERVICES = ("SAGEMAKER", "SAGEMAKER_RUNTIME", "CLOUDWATCH", "CLOUDWATCH_LOGS", "IAM", "STS")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--port", type=int, default=4180, help="on 127.0.0.1 (default 4180; 0: any)"
    )
    parser.add_argument(
        "--s3-endpoint", metavar="URL", help="S3 server of inputs and outputs (default: folders)"
    )


def command(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C; prints the variables to set in the client's shell first."""
    from platforms import serve

    settings = _settings(arguments.s3_endpoint)
    logging.basicConfig(format="%(levelname)s: %(message)s")
    try:
        serve(settings, arguments.port, lambda url: print(_variables(settings, url), flush=True))
    except KeyboardInterrupt:
        return 0
    return 0


def _settings(s3_endpoint: str | None) -> Settings:
    """Return the settings of the API.

    Raises:
        ParameterError: the option is no address.
    """
    from pydantic import ValidationError

    from platforms import Settings

    settings = Settings()
    try:
        return Settings(
            platform="local",
            s3_endpoint=s3_endpoint or settings.s3_endpoint,
            # That of clients that are set up alike: it is in every ARN.
            region=settings.region_said,
        )
    except ValidationError as error:
        (problem,) = error.errors(include_input=False)
        raise ParameterError(f"--s3-endpoint: {without_pydantics_words(problem['msg'])}") from None


def _variables(settings: Settings, url: str) -> str:
    """Return shell commands that point AWS clients at the API."""
    addresses = {f"AWS_ENDPOINT_URL_{service}": url for service in _SERVICES}
    if settings.s3_endpoint:
        addresses["AWS_ENDPOINT_URL_S3"] = settings.s3_endpoint
    exports = [f"export {name}={shlex.quote(value)}" for name, value in addresses.items()]
    stored = settings.s3_endpoint or f"folders below {settings.home / 's3'}"
    return "\n".join([f"# the local SageMaker listens at {url}; buckets: {stored}", *exports])
