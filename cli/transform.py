"""``whippet predict DIR --out FILE``: label a folder of pictures in a batch transform job."""

from __future__ import annotations

from cli.console import say
from platforms import connect
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


def predict_folder(parameters: TransformParameters) -> int:
    """Write the answers to ``--out``; 1 if a picture has none. The same folder and model lead to
    the same job: after a kill, the same command continues it.
    """
    platform, out = connect(), expanded(parameters.out)
    require_writable(out, parameters.out)
    worst = require_within_budget(platform, parameters)
    pictures = find_pictures(expanded(parameters.images), parameters.images)
    trained = model_to_ask(platform, parameters.training_job)
    run = identity_of(trained, pictures, parameters.top_k)
    say(f"{counted(len(pictures.found), 'picture')} for the model of {trained.job}")
    if platform.bills:
        say(f"at most {usd(worst)} ({parameters.instance_type}, {parameters.max_seconds} s)")
    send_pictures(platform, pictures)
    job = launch(platform, run, trained, pictures, parameters)
    say(f"transform job {job} …")
    ended = follow(platform, job, parameters.max_seconds)
    answers = read_answers(platform, pictures, output_uri(platform, pictures, job), ended.reason)
    failed = [each for each in answers if each.error]
    require_answers(ended, len(answers) - len(failed))
    write_answers(answers, out)
    remove_model(platform, run)
    print(f"{len(answers) - len(failed)} of {len(answers)} pictures answered: {parameters.out}")
    for each in failed[:_SHOWN]:
        say(f"{each.image}: {each.error}")
    if len(failed) > _SHOWN:
        say(f"and {len(failed) - _SHOWN} more: see the column error of {parameters.out}")
    return 1 if failed else 0
