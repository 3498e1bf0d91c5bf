"""``whippet predict DIR --out FILE``: label a folder of pictures in a batch transform job."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from platforms import connect
from platforms.errors import ParameterError
from sm_entrypoints.contract.sentences import counted
from tasks.parameters.typed_path import expanded
from tasks.plan.text import usd
from tasks.transform.answers import read_answers, require_writable, write_answers
from tasks.transform.job import (
    follow,
    identity_of,
    launch,
    model_to_ask,
    remove_model,
    require_answers,
    send_pictures,
)
from tasks.transform.parameters import TransformParameters
from tasks.transform.pictures import find_pictures
from tasks.transform.request import output_uri, require_within_budget

_SHOWN = 20


def predict_folder(arguments: argparse.Namespace) -> int:
    """Write the answers to ``--out``; 1 when a picture has none.

    The same folder and model find the same job: after a kill, the same command goes on with it.

    Raises:
        ParameterError: more than one folder, or options that do not go with ``--out``.
    """
    parameters = _parameters(arguments)
    platform, out = connect(), expanded(arguments.out)
    require_writable(out, arguments.out)
    worst = require_within_budget(platform, parameters)
    pictures = find_pictures(expanded(parameters.images), parameters.images)
    trained = model_to_ask(platform, parameters.training_job)
    run = identity_of(trained, pictures, parameters.top_k)
    _say(f"{counted(len(pictures.found), 'picture')} for the model of {trained.job}")
    if platform.bills:
        _say(f"at most {usd(worst)} ({parameters.instance_type}, {parameters.max_seconds} s)")
    send_pictures(platform, pictures)
    job = launch(platform, run, trained, pictures, parameters)
    _say(f"transform job {job} …")
    ended = follow(platform, job, parameters.max_seconds)
    answers = read_answers(platform, pictures, output_uri(platform, pictures, job), ended.reason)
    failed = [each for each in answers if each.error]
    require_answers(ended, len(answers) - len(failed))
    write_answers(answers, out)
    remove_model(platform, run)
    print(f"{len(answers) - len(failed)} of {len(answers)} pictures answered: {arguments.out}")
    for each in failed[:_SHOWN]:
        _say(f"{each.image}: {each.error}")
    if len(failed) > _SHOWN:
        _say(f"and {len(failed) - _SHOWN} more: see the column error of {arguments.out}")
    return 1 if failed else 0


def require_no_transform_options(arguments: argparse.Namespace) -> None:
    """Check that nothing was asked for that only ``--out`` heeds.

    Raises:
        ParameterError: something was.
    """
    for option in ("training_job", "instance_type", "max_usd"):
        if getattr(arguments, option) is not None:
            raise ParameterError(f"--{option.replace('_', '-')} needs --out FILE")


def _parameters(arguments: argparse.Namespace) -> TransformParameters:
    if len(arguments.image) != 1:
        raise ParameterError(f"--out takes one folder, not {len(arguments.image)} paths")
    if arguments.endpoint:
        raise ParameterError("--out uses a model, not an endpoint: leave out --endpoint")
    given: dict[str, Any] = {
        "images": arguments.image[0],
        "out": arguments.out,
        "training_job": arguments.training_job,
        "instance_type": arguments.instance_type,
        "max_usd": arguments.max_usd,
    }
    return TransformParameters(**{key: value for key, value in given.items() if value is not None})


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
