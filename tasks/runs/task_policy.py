"""What every task has: retries only for transient errors, no cache, a timeout.

Tasks are not cached: names are deterministic and steps adopt what exists, so running a task again
is cheap and safe, while a cached answer could outlive the thing it describes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from prefect import Task, runtime
from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.task_engine import TaskRunTimeoutError
from prefect.tasks import exponential_backoff

from platforms.client_errors import is_transient

DAY = 86_400.0
_RETRIES = 4


class TaskPolicy(TypedDict):
    """Arguments of ``@task`` that hold for all of ours."""

    retries: int
    retry_delay_seconds: Callable[[int], list[float]]
    retry_jitter_factor: float
    retry_condition_fn: Callable[[Task[..., Any], TaskRun, State[Any]], bool]
    cache_policy: CachePolicy
    persist_result: bool
    timeout_seconds: float


def retry_if_transient(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Say whether Prefect may try again: never for a failed job, bad input or a used up time."""
    return _may_pass(state.result(raise_on_failure=False))


def will_be_retried(error: BaseException) -> bool:
    """Say whether Prefect tries the current task again after this error: not its last try."""
    tries = runtime.task_run.run_count
    return isinstance(tries, int) and tries <= _RETRIES and _may_pass(error)


def _may_pass(error: object) -> bool:
    # The task's own timeout is a TimeoutError as well; trying again would multiply it.
    if not isinstance(error, BaseException) or isinstance(error, TaskRunTimeoutError):
        return False
    return is_transient(error)


def policy(timeout_seconds: float) -> TaskPolicy:
    """Return the policy of a task that must end within ``timeout_seconds``."""
    return TaskPolicy(
        retries=_RETRIES,
        retry_delay_seconds=exponential_backoff(backoff_factor=1),
        retry_jitter_factor=0.5,
        retry_condition_fn=retry_if_transient,
        cache_policy=NO_CACHE,
        persist_result=False,
        timeout_seconds=timeout_seconds,
    )
