"""``whippet fetch``: download a data set or a job's output from the bucket to a folder."""

from __future__ import annotations

import argparse
import sys

from sm_entrypoints.contract.sentences import counted
from tasks.storage.sync_progress import Moved

HELP = "bring a data set, or what a training job wrote, from the bucket to a folder, verified"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "source", help="name of a data set or of a training job, or s3://bucket/prefix"
    )
    parser.add_argument("folder", help="created if missing; nothing in it is deleted")


def command(arguments: argparse.Namespace) -> int:
    """Fetch what is not there yet; say how much that was."""
    from platforms import connect
    from tasks.dataset.fetch import fetch
    from tasks.parameters.typed_path import expanded

    typed = arguments.folder
    folder = expanded(typed)
    result = fetch(connect(), arguments.source, folder, progress=_progress(), typed=typed)
    print(
        f"{counted(result.fetched, 'file')} fetched ({result.bytes_fetched / 1e6:,.1f} MB, "
        f"{result.seconds:.1f} s), {result.skipped:,} were there: {typed}"
    )
    return 0


def _progress() -> _Line | None:
    return _Line() if sys.stderr.isatty() else None


class _Line:
    """One line of the terminal, written over again a few times a second."""

    def __init__(self) -> None:
        self._shown = 0.0

    def __call__(self, moved: Moved) -> None:
        """Show how far it is."""
        at_end = moved.files == moved.of_files
        if at_end or moved.seconds - self._shown > 0.2:
            self._shown = moved.seconds
            print(f"\r{moved}\x1b[K", end="\n" if at_end else "", file=sys.stderr, flush=True)
