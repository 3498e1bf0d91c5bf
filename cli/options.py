"""The parser's options that stand for parameters. Standard library only."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from platforms.errors import ParameterError
from sm_entrypoints.contract import require_architecture
from tasks.parameters.option import Option
from tasks.parameters.options import RUN_OPTIONS, RUN_SECTIONS


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` and `plan` share: data, model, search, training, resources, cost."""
    parser.add_argument(
        "--platform", choices=("local", "aws"), help="where it runs (default: WHIPPET_PLATFORM)"
    )
    for title, options in RUN_SECTIONS.items():
        add_options(parser.add_argument_group(title), options)


def add_options(parser: argparse._ActionsContainer, options: Iterable[Option]) -> None:
    """Add options, and their aliases, as argparse reads them; what is not given is None."""
    for option in options:
        if option.notation == "switch":
            parser.add_argument(option.flag, action="store_true", default=None, help=option.text)
            continue
        parser.add_argument(
            option.flag,
            action="append" if option.is_repeatable else "store",
            type=option.value_type,
            choices=option.choices or None,
            metavar=option.metavar,
            help=option.text,
        )
        if option.alias:
            parser.add_argument(
                option.alias.flag,
                action="append_const" if option.is_repeatable else "store_const",
                const=option.alias.value,
                dest=option.name,
                help=option.alias.help,
            )


def from_options(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the flow's parameters that the options of a run stand for: those that were given."""
    from tasks.parameters.command_line import parameters_of

    return parameters_of(RUN_OPTIONS, vars(arguments))


def known_network(name: str) -> str:
    """Return the name that ``--model`` gave.

    Raises:
        ParameterError: torchvision has no such classifier; says which is the nearest.
    """
    try:
        return require_architecture(name)
    except ValueError as error:
        raise ParameterError(f"--model: {error}") from None
