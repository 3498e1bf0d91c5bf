"""``whippet doctor``: check the set-up, and rehearse a model archive before it costs money."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cli.options import known_network

if TYPE_CHECKING:
    from cli.doctor.archive import Source

HELP = "check this set-up, and a model archive with its inference.py before it costs money"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    archive = parser.add_mutually_exclusive_group()
    archive.add_argument("--model-data", metavar="FILE", help="a model.tar.gz to check")
    archive.add_argument("--run", help="check the model of this run (latest is one)")
    archive.add_argument(
        "--model", default="resnet18", help="else: a fresh model of this kind (default resnet18)"
    )
    parser.add_argument("--code", metavar="DIR", help="your own inference.py, put into the archive")
    parser.add_argument("--image", metavar="FILE", help="a good image to ask about")


def command(arguments: argparse.Namespace) -> int:
    """Print every check; return 0 when all that are required passed.

    Raises:
        DataError, ParameterError: an option names what is not there; nothing was checked then.
    """
    from cli.doctor.doctor import check_all, good_image

    source = _source(arguments)
    return check_all(source, good_image(arguments.image))


def _source(arguments: argparse.Namespace) -> Source:
    from cli.doctor.archive import Source

    architecture = known_network(arguments.model)
    source = Source(
        file=Path(arguments.model_data) if arguments.model_data else None,
        run=arguments.run,
        code=Path(arguments.code) if arguments.code else None,
        architecture=architecture,
    )
    source.check()
    return source
