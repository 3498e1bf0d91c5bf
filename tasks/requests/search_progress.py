"""What a packed search keeps while it runs: its trials so far, and what goes when it was used.

The job writes it below its checkpoints (:mod:`sm_entrypoints.contract.search_progress`), which come
to the bucket while it runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from platforms import Platform
from platforms.sagemaker_types import TrainingJob
from sm_entrypoints import contract
from sm_entrypoints.contract.search import SEARCH_HYPERPARAMETER, SearchPlan
from sm_entrypoints.contract.search_progress import progress_folder
from tasks.storage.listing import list_objects
from tasks.storage.objects import delete_objects, read_if_there
from tasks.storage.uris import split_uri


def trials_so_far(platform: Platform, job: TrainingJob) -> Sequence[dict[str, Any]]:
    """Return the trials of a running search that have ended, as SageMaker lists a tuning job's.

    None yet is an empty list; so is a table that cannot be understood, which is only looked at.

    Raises:
        SearchPlanError: the job is no packed search.
        StoreFailed: the bucket cannot be read.
    """
    bucket, prefix = _progress(job)
    if not bucket:
        return []
    text = read_if_there(platform.store(bucket), f"{prefix}/{contract.TRIALS_FILE}")
    try:
        trials = json.loads(text or b"[]")
    except ValueError:
        return []
    return trials if isinstance(trials, list) else []


def remove_progress(platform: Platform, job: TrainingJob) -> None:
    """Delete the progress of a search whose best trial was taken: nobody goes on with it.

    Raises:
        SearchPlanError: the job is no packed search.
        StoreFailed: the bucket cannot be listed, or an object not be deleted.
    """
    bucket, prefix = _progress(job)
    if bucket:
        store = platform.store(bucket)
        delete_objects(store, [f"{prefix}/{name}" for name in list_objects(store, prefix)])


def _progress(job: TrainingJob) -> tuple[str, str]:
    """Return the bucket and the prefix of a search's progress; empty where it keeps none."""
    uri = job.get("CheckpointConfig", {}).get("S3Uri")
    if not uri:
        return "", ""
    plan = SearchPlan.from_json(job["HyperParameters"][SEARCH_HYPERPARAMETER])
    bucket, prefix = split_uri(uri)
    return bucket, f"{prefix.rstrip('/')}/{progress_folder(plan, job['TrainingJobName'])}"
