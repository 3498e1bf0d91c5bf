"""The command of a request with its own entry point, in a form the job's interpreter can start."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from platforms.local.job_tree import JobTree, JobTreeError

# Becomes the command, under the process id that the supervisor knows; 127 as a shell has it.
_EXEC = """import os, sys
try:
    os.execvp(sys.argv[1], sys.argv[1:])
except OSError as error:
    print(f"{sys.argv[1]}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(127)"""
_ROOT = PurePath("/opt/ml")
_MENTIONED = re.compile(r"/opt/ml(?![\w.-])")
# What no shell reads anything else into.
_PLAIN = re.compile(r"[\w/.,+@=-]+", re.ASCII)


def own_command(request: Mapping[str, Any]) -> list[str]:
    """Return the command that a request brings; empty for one that the toolkit is to run."""
    algorithm = request["AlgorithmSpecification"]
    if "ContainerEntrypoint" not in algorithm:
        return []
    return [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", ())]


def interpreter_arguments(tree: JobTree, request: Mapping[str, Any]) -> list[str]:
    """Return what the interpreter is started with to become the command.

    Args:
        tree: the job's folders as the job sees them. Where that is not ``/opt/ml``, places
        mentioned in the command are replaced by those here.

    Raises:
        JobTreeError: there is no ``/opt/ml``, and a shell would misread the tree's path.
    """
    return ["-c", _EXEC, *(placed(each, tree.root) for each in own_command(request))]


def shown(request: Mapping[str, Any]) -> str:
    """Return the command as a person would type it."""
    return shlex.join(own_command(request))


def placed(text: str, root: Path) -> str:
    """Return a text of the command, or of its scripts, with ``/opt/ml`` where it is here.

    Raises:
        JobTreeError: it mentions ``/opt/ml``, and a shell would misread the path of ``root``.
    """
    if root == _ROOT or not _MENTIONED.search(text):
        return text
    if not _PLAIN.fullmatch(str(root)):
        raise JobTreeError(
            "ContainerEntrypoint: this machine cannot give the job an /opt/ml of its own (see "
            f"`whippet doctor`), and its scripts cannot be redirected to {str(root)!r}, which a "
            "shell would misread: set WHIPPET_HOME to a path of letters, digits and . _ - /"
        )
    return _MENTIONED.sub(lambda _: str(root), text)
