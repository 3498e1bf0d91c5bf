"""The ``whippet`` command. Imports nothing heavy until a command needs it."""

from __future__ import annotations

import argparse
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from cli.parser import build_parser
from sm_entrypoints.contract.sentences import clause

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
# So many objects until Python looks for garbage among the newest: what is imported is none.
_GARBAGE_AFTER = 50_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code. No traceback for errors meant for people."""
    if argv is not None:
        return _run(argv)
    gc.set_threshold(_GARBAGE_AFTER)
    try:
        return _run(None)
    finally:
        gc.freeze()  # The process ends here: to take apart what it imported would take a second.


def _run(argv: Sequence[str] | None) -> int:
    arguments = build_parser().parse_args(argv)
    from platforms.loopback import spare_loopback  # its urllib is half the time of --help
    from platforms.processes.interrupts import NotedInterrupts

    spare_loopback()  # before anything asks Prefect's server, a model server or a local S3
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal cannot show must not end a run that worked.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with NotedInterrupts(signal.SIGINT):
            return _dispatch(arguments)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left (| head): not an error. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:  # the outermost edge of the process
        if arguments.debug or not _is_for_people(error):
            raise
        print(f"whippet: error: {_sentence(error)}", file=sys.stderr)
        return EXIT_FAILED


def _dispatch(arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.command(arguments)
        return code
    finally:
        if "platforms.settings" in sys.modules:  # what needs none makes no folder either
            _close_home()


def _close_home() -> None:
    from pydantic import ValidationError

    from platforms.privacy import close_home
    from platforms.settings import Settings

    with suppress(ValidationError, OSError):
        close_home(Settings().home)


def _is_for_people(error: Exception) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError
    from httpx import HTTPError
    from pydantic import ValidationError

    from platforms.errors import WhippetError

    kinds = (WhippetError, ValidationError, ClientError, BotoCoreError, HTTPError, OSError)
    return isinstance(error, kinds)


def _sentence(error: Exception) -> str:
    from httpx import HTTPError
    from pydantic import ValidationError

    from platforms.errors import without_pydantics_words

    if isinstance(error, HTTPError):
        sentence = f"the Prefect server did not answer ({clause(error)})"
        return f"{sentence}: start it again with `whippet up`"
    if not isinstance(error, ValidationError):
        return str(error)
    # A setting is known to people as the variable that they set.
    prefix = "WHIPPET_" if error.title == "Settings" else ""
    problems = [
        "".join(f"{prefix}{str(part).upper() if prefix else part}: " for part in problem["loc"])
        + without_pydantics_words(problem["msg"])
        + ("" if problem["type"] == "value_error" else f" (given: {problem['input']!r})")
        for problem in error.errors(include_url=False)
    ]
    return "; ".join(problems)


if __name__ == "__main__":
    sys.exit(main())
