"""The parser of the whole command line: of every module in :mod:`cli.commands`."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from cli import commands

_EPILOG = "Settings are WHIPPET_* environment variables: see README.md. Docs: docs/."
# As people come to need them; a command that is not here follows, by its name.
_ORDER = (
    *(
        "run",
        "cancel",
        "recover",
        "plan",
        "data",
        "improve",
        "predict",
        "jobs",
        "logs",
        "endpoints",
        "report",
    ),
    *("fetch", "explain", "features", "clean_up", "iam", "image", "lint", "doctor", "chaos"),
    *("up", "status", "notify", "ui", "api", "down"),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; what it parses has the ``command`` to call."""
    parser = argparse.ArgumentParser(
        prog="whippet",
        description="Train image classifiers on SageMaker with Prefect; rehearse on this machine.",
        epilog=_EPILOG,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    listed = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    folder = Path(str(commands.__file__)).parent
    paths = {path.stem: path.relative_to(folder) for path in folder.rglob("[!_]*.py")}
    for name in sorted(paths, key=_place):
        inner = ".".join(paths[name].with_suffix("").parts)
        module = import_module(f"{commands.__name__}.{inner}")
        text: str = module.HELP
        description = f"{text[0].upper()}{text[1:]}."
        command = listed.add_parser(name.replace("_", "-"), help=text, description=description)
        command.set_defaults(command=module.command)
        if hasattr(module, "add_options"):
            module.add_options(command)
    return parser


def _place(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER)), name
