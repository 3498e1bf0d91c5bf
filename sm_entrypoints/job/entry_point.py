"""The edge of an entry point's process: every error becomes an exit code and a failure file."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch

from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.files import clear_staged
from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest, process_group

Request = TypeVar("Request")


def run_entry_point(
    what: str,
    work: Callable[[Request, Environment, StopRequest], None],
    *,
    parse: Callable[[Sequence[str]], Request],
    argv: Sequence[str] | None,
    variables: Mapping[str, str] | None,
) -> int:
    """Do ``work``, for what ``parse`` reads in ``argv``, in the environment ``variables``.

    Both are this process's own where they are None. ``what`` names the work in the message of its
    failure. On failure ``output/failure`` holds a sentence, with a traceback if it was no mistake
    of the caller.

    Returns:
        The exit code: 0, or 1 with the failure file written.
    """
    environment = None
    try:
        environment = Environment.from_variables(os.environ if variables is None else variables)
        stop = StopRequest()
        stop.install()
        _clear(environment)
        with process_group(environment):
            work(parse(sys.argv[1:] if argv is None else argv), environment, stop)
    except JobError as error:
        return _fail(what, environment, str(error))
    except torch.OutOfMemoryError as error:
        sentence = f"out of memory: lower batch_size or image_size ({clause(error)})"
        return _fail(what, environment, sentence)
    except OSError as error:
        sentence = f"a file cannot be read or written: {error}"
        return _fail(what, environment, sentence, traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - the process's edge: nothing above could tell why
        sentence = f"{type(error).__name__}: {error}"
        return _fail(what, environment, sentence, traceback.format_exc())
    return 0


def _clear(environment: Environment) -> None:
    """Remove what this job, or the one whose checkpoints it got, had half written when it was
    killed: SageMaker would deliver it, and keep it for ever.
    """
    if environment.is_leader:
        for folder in (
            environment.checkpoint_dir,
            environment.model_dir,
            environment.output_data_dir,
        ):
            clear_staged(folder)


def _fail(what: str, environment: Environment | None, sentence: str, trace: str = "") -> int:
    """Say what went wrong on stderr and in the failure file, the sentence first."""
    print(f"{what} failed: {sentence}\n{trace}", file=sys.stderr, flush=True)
    file = (environment or Environment()).failure_file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # SageMaker shows the first 1,024 characters; of several processes the first one speaks.
        with file.open("x", encoding="utf-8") as failure:
            failure.write(f"{sentence}\n{trace}".strip())
    except OSError as error:
        print(f"the failure file cannot be written: {error}", file=sys.stderr, flush=True)
    return 1
