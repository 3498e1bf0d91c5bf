"""Leave the copy that jobs are forked from before there is a job: while other things are done."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import psutil

from platforms.local.boundary.enclosure import Enclosure, Prepared, Program
from platforms.local.context import LocalContext, supervisor_environment
from platforms.local.job_tree import JobTree
from platforms.local.training.environment import job_environment
from platforms.local.warm_start.child import WarmChild
from platforms.local.warm_start.client import waits
from platforms.local.warm_start.kind import kind_of
from platforms.local.warm_start.start import LEAST_FREE_BYTES, suits_python
from sm_entrypoints.contract import TRAIN_PROGRAM

_NAME = "ahead"


def start_copy(context: LocalContext) -> bool:
    """Start the process whose copy stays, for jobs without variables of their own; do not wait.

    Tell whether it was started. Nothing is, where jobs start cold, or where a copy waits already.

    Raises:
        WhippetError: the interpreter of jobs does not run, or there is no such boundary.
        OSError: it cannot be started.
    """
    record = _record(context)
    kind = kind_of(record, context.home)
    if kind is None or waits(kind.folder):
        return False
    if psutil.virtual_memory().available < LEAST_FREE_BYTES:
        return False
    kind.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix="ahead-", dir=kind.folder) as folder:
        prepared = _prepared(context, record, Path(folder))
        if prepared is None:
            return False
        child = WarmChild.begun(kind, prepared)
    # Reaped when it ends, which it does when its copy is made: no job asks for it.
    threading.Thread(target=child.dismiss, name="warm start", daemon=True).start()
    return True


def _record(context: LocalContext) -> dict[str, Any]:
    """Return the record of a job of ours, as far as it decides how jobs start."""
    return {
        "TrainingJobName": _NAME,
        "TrainingJobArn": context.arn("training-job", _NAME),
        "AlgorithmSpecification": {},
        "HyperParameters": {
            "sagemaker_program": TRAIN_PROGRAM,
            "sagemaker_submit_directory": "s3://none/sourcedir.tar.gz",
        },
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
        "OutputDataConfig": {"S3OutputPath": ""},
        "Local": {**context.to_record(), "Boundary": context.boundary().to_record()},
    }


def _prepared(context: LocalContext, record: dict[str, Any], folder: Path) -> Prepared | None:
    """Return what a cold start of that job would run; None where it would not fit."""
    enclosure = Enclosure.of(
        record["Local"]["JobPython"], record["Local"]["Boundary"], home=context.home, scratch=folder
    )
    if not suits_python(enclosure):
        return None
    seen = JobTree(folder=folder).as_seen(contained=True)
    with (folder / "log.txt").open("ab") as log:
        what = Program(
            arguments=[TRAIN_PROGRAM],
            cwd=str(seen.code),
            environment=job_environment(seen, record, supervisor_environment(os.environ)),
            log=log,
            group=True,
        )
        return enclosure.prepare(what, ())
