from __future__ import annotations

import importlib
import inspect
import pkgutil
import time

import pytest
from prefect import Flow, Task, flow, task
from prefect.cache_policies import NO_CACHE

import flows
import tasks
from flows.hooks import close_run, crashed_or_cancelled, failed_or_cancelled, stop_jobs
from flows.improve_training import close_improvement, end_if_cancelled
from platforms.errors import JobFailed
from tasks.runs.stages import note_completed
from tasks.runs.task_policy import policy, retry_if_transient
from tests.worlds.fake_sagemaker import throttled


def members(package, kind):
    """Return every object of a kind in the modules of a package, by where it is defined."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, kind):
                found[f"{value.fn.__module__}.{value.fn.__name__}"] = value
    return found


TASKS = members(tasks, Task)
FLOWS = members(flows, Flow)
# It has no run of its own: it measures a change of one that has ended.
ABOUT_ANOTHER_RUN = "flows.improve_training.improve_training"
# It only looks at flow runs: it starts nothing that costs, and has no record.
STARTS_NOTHING = "flows.recover_runs.recover_runs"


def test_tasks_and_flows_are_found():
    assert "tasks.training.launch_training_job" in TASKS
    assert "flows.release_model.release_model" in FLOWS
    assert len(TASKS) >= 15
    assert len(FLOWS) >= 10


@pytest.mark.parametrize("name", TASKS)
def test_every_task_states_its_policy(name):
    found = TASKS[name]
    assert found.retries > 0
    assert found.retry_condition_fn is retry_if_transient
    assert found.cache_policy is NO_CACHE
    assert found.persist_result is False
    assert 0 < found.timeout_seconds <= 7 * 86_400
    assert len(found.retry_delay_seconds) == found.retries
    assert found.retry_jitter_factor > 0
    assert found.name != found.fn.__name__, "give it a name that people read"


def test_task_names_are_unique():
    names = [found.name for found in TASKS.values()]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", FLOWS)
def test_every_flow_stops_what_it_started_and_keeps_no_result(name):
    found = FLOWS[name]
    assert found.retries == 0
    assert bool(found.on_cancellation_hooks) == (name != STARTS_NOTHING)
    assert found.persist_result is False


def test_an_improvement_leaves_how_the_run_ended_as_it_is():
    found = FLOWS[ABOUT_ANOTHER_RUN]
    assert found.on_completion_hooks == [close_improvement], "it says what was used, and no more"
    # One whose cancel was lost ends as cancelled.
    hooks = (found.on_failure_hooks, found.on_crashed_hooks)
    assert hooks == ([end_if_cancelled, close_improvement],) * 2


@pytest.mark.parametrize("name", sorted(set(FLOWS) - {ABOUT_ANOTHER_RUN, STARTS_NOTHING}))
def test_every_flow_notes_how_its_run_ended(name):
    found = FLOWS[name]
    assert found.on_failure_hooks == [failed_or_cancelled, close_run]
    assert found.on_completion_hooks == [note_completed, close_run]
    assert found.on_cancellation_hooks == [stop_jobs, close_run]
    assert found.on_crashed_hooks == [crashed_or_cancelled, close_run], (
        "a paid job must not end because its watcher died: a crash is only noted"
    )


@pytest.mark.parametrize("name", FLOWS)
def test_hooks_can_be_called_as_a_worker_calls_them(name):
    found = FLOWS[name]
    for hooks in (
        found.on_completion_hooks,
        found.on_failure_hooks,
        found.on_cancellation_hooks,
        found.on_crashed_hooks,
    ):
        for hook in hooks:
            # With other names the hook raises TypeError in the worker, and paid jobs go on.
            assert list(inspect.signature(hook).parameters) == ["flow", "flow_run", "state"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "attempts"),
    [(throttled(), 3), (JobFailed("training job 'x' ended Failed"), 1), (ValueError("bad"), 1)],
)
def test_only_faults_that_pass_are_tried_again(prefect_server, error, attempts):
    tried = []

    @task(**{**policy(60), "retry_delay_seconds": 0})
    def flaky():
        tried.append(1)
        if len(tried) < 3:
            raise error
        return "done"

    @flow
    def run():
        return flaky()

    if attempts == 3:
        assert run() == "done"
    else:
        with pytest.raises(type(error), match=str(error)):
            run()
    assert len(tried) == attempts


@pytest.mark.slow
def test_a_tasks_own_timeout_is_not_tried_again(prefect_server):
    tried = []

    @task(**{**policy(1), "retry_delay_seconds": 0})
    def slow():
        tried.append(1)
        time.sleep(3)

    @flow
    def run():
        slow()

    with pytest.raises(TimeoutError):
        run()
    assert len(tried) == 1
