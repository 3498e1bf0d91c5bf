"""A job's entry point: a Python script, a package with setup.py, or another command.

Such a command is usually a shell script. The kinds are distinguished as the toolkit does it.
"""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from platforms.errors import WhippetError
from platforms.local.toolkit.hyperparameters import (
    PROGRAM_KEY,
    SUBMIT_DIRECTORY_KEY,
    arguments,
    toolkit_parameters,
)

Kind = Literal["script", "package", "command"]

_PROGRAM_VARIABLE = "SAGEMAKER_PROGRAM"
# As the toolkit has it: no option, no absolute path, nothing that a shell would read.
_SAFE = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")
# Becomes the shell, under the process id that the supervisor knows.
_SHELL = "import os, sys; os.execv('/bin/sh', ['/bin/sh', '-c', sys.argv[1]])"


class EntryPointError(WhippetError):
    """Raised when a request names no code, or an entry point that the toolkit would refuse."""


def submit_directory(request: Mapping[str, Any]) -> str:
    """Return the S3 URI of the source archive.

    Raises:
        EntryPointError: the request names none.
    """
    uri = toolkit_parameters(request).get(SUBMIT_DIRECTORY_KEY)
    if not isinstance(uri, str) or not uri.startswith("s3://"):
        raise EntryPointError(
            f"hyperparameter {SUBMIT_DIRECTORY_KEY}={uri!r} must be the s3:// URI of a "
            "sourcedir.tar.gz: there is no container image to take the code from"
        )
    return uri


def program(request: Mapping[str, Any]) -> PurePosixPath:
    """Return the entry point, relative to the code folder.

    ``SAGEMAKER_PROGRAM`` in the request's ``Environment`` takes precedence over the hyperparameter.

    Raises:
        EntryPointError: the request names none, or one that the toolkit refuses.
    """
    name = request.get("Environment", {}).get(_PROGRAM_VARIABLE)
    name = name or toolkit_parameters(request).get(PROGRAM_KEY)
    if not isinstance(name, str) or not name:
        raise EntryPointError(
            f"hyperparameter {PROGRAM_KEY}={name!r} must name the entry point, a file in the "
            "source archive such as 'train.py'"
        )
    if not _SAFE.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise EntryPointError(
            f"hyperparameter {PROGRAM_KEY}={name!r} is refused by SageMaker's toolkit: it must "
            "be a path in the source archive, with only letters, digits and . _ + - /, and "
            "without '..'"
        )
    return PurePosixPath(name)


def kind(code: Path, name: PurePosixPath) -> Kind:
    """Return how an entry point in the code folder is started."""
    if name.suffix == ".sh":
        return "command"
    if (code / "setup.py").is_file():
        return "package"
    return "script" if name.suffix == ".py" else "command"


def prepare(code: Path, request: Mapping[str, Any]) -> None:
    """Check that the entry point is in the code folder, and let a command be executed.

    Raises:
        EntryPointError: it is not there, or leads out of the folder.
    """
    name = program(request)
    path = code / name
    if not path.is_file():
        raise EntryPointError(f"{name} is not in {submit_directory(request)}")
    if not path.resolve().is_relative_to(code.resolve()):
        raise EntryPointError(f"{name} leads out of the source archive")
    if kind(code, name) == "command":
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def command(code: Path, request: Mapping[str, Any]) -> list[str]:
    """Return what the interpreter is started with, in the code folder, to run the entry point.

    Args:
        code: the extracted source archive.
        request: names the entry point and holds its hyperparameters.
    """
    name, argv = program(request), arguments(request)
    started = kind(code, name)
    if started == "package":
        return ["-m", str(name).removesuffix(".py"), *argv]
    if started == "script":
        return [str(name), *argv]
    return ["-c", _SHELL, shlex.join([f"./{name}", *argv])]


def shown(code: Path, request: Mapping[str, Any]) -> str:
    """Return the command as a person would type it."""
    argv = command(code, request)
    return argv[2] if argv[0] == "-c" else " ".join(["python", *argv])


def python_path(code: Path, request: Mapping[str, Any]) -> list[str]:
    """Return the folders below the code folder to import from, relative to it.

    A package is not installed: where it keeps its modules in ``src``, that is one of them.
    """
    package = kind(code, program(request)) == "package" and (code / "src").is_dir()
    return [".", "src"] if package else ["."]
