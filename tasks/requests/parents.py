"""Earlier searches that a new one learns from: tuning jobs, and packed searches."""

from __future__ import annotations

from platforms import Platform
from platforms.errors import ParameterError
from platforms.sagemaker_types import TrainingJob
from tasks.parameters.run import TuningParameters
from tasks.requests.bodies import is_packed_search
from tasks.requests.create_or_adopt import TRAINING_JOB, TUNING_JOB
from tasks.runs.names import RunIdentity

_MOST_TUNING = 32  # characters of a tuning job's name: SageMaker refuses longer ones


def parents_uri(platform: Platform, run: RunIdentity) -> str:
    """Return where the trial tables of a run's parents lie, for its packed search."""
    root = f"s3://{platform.defaults.bucket}/{platform.settings.prefix}"
    return f"{root}/parents/{run.prefix}/"


def packed_parent(platform: Platform, name: str) -> TrainingJob | None:
    """Return the description of a finished packed search; None for a finished tuning job.

    Raises:
        ParameterError: there is no search of that name, or it has not completed.
    """
    tuning = TUNING_JOB.describe(platform.sagemaker, name) if len(name) <= _MOST_TUNING else None
    if tuning is not None:
        _require_ended(name, tuning["HyperParameterTuningJobStatus"])
        return None
    training = TRAINING_JOB.describe(platform.sagemaker, name)
    if training is None or not is_packed_search(training):
        what = "is a training job, not" if training is not None else "is not there as"
        raise ParameterError(
            f"warm_start_from: {name!r} {what} a search to learn from: see `whippet jobs`"
        )
    _require_ended(name, training["TrainingJobStatus"])
    return training


def _require_ended(name: str, status: str) -> None:
    if status not in ("Completed", "Stopped"):
        raise ParameterError(
            f"warm_start_from: the search {name!r} is {status}: it can be learned from when it "
            "has completed"
        )


def require_parents(platform: Platform, tuning: TuningParameters) -> None:
    """Look whether a settled search can learn from the searches that it names.

    Raises:
        ParameterError: one is not there or has not ended, or a tuning job would have to learn
            from a packed search, which SageMaker cannot.
    """
    for name in tuning.warm_start_from:
        if packed_parent(platform, name) is not None and tuning.strategy != "packed":
            raise ParameterError(
                f"warm_start_from: {name!r} is a packed search, and SageMaker's tuning jobs learn "
                f"from tuning jobs only, but this search is one ({tuning.strategy}): leave "
                f"{name!r} out, or pack this search too (strategy='packed')"
            )
