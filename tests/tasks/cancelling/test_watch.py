"""Flow runs that are cancelled while they wait, on a real server, with nobody else to see to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from prefect import flow, get_client, runtime, task
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelled, Cancelling, Crashed

from platforms.processes.interrupts import NotedInterrupts
from tasks.cancelling import watch
from tasks.cancelling.watch import CancelWatch, RunCancelled, end_if_cancelled
from tasks.requests.waiting import Clock, Pace, wait_until

pytestmark = pytest.mark.slow
POLLS = 30


def say(flow_run: object, *states: State[Any]) -> None:
    """Write states of a flow run, as the UI, the server or a dying worker do."""
    with get_client(sync_client=True) as client:
        for state in states:
            client.set_flow_run_state(UUID(str(flow_run)), state, force=True)


def history(flow_run: object) -> list[StateType]:
    with get_client(sync_client=True) as client:
        found = client.read_flow_run_states(UUID(str(flow_run)))
    return [each.type for each in sorted(found, key=lambda each: each.timestamp)]


class World:
    """A job that never ends; ``does`` is what happens at its third description."""

    def __init__(self, does: Callable[[], None]) -> None:
        self.does, self.asked, self.seconds = does, 0, 0.0
        self.stopped: list[str] = []
        self.runs: dict[str, str] = {}

    def describe(self) -> dict[str, Any]:
        self.asked += 1
        if self.asked == 3:
            self.does()
        return {"Status": "Completed" if self.asked > POLLS else "InProgress"}

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def wait(self) -> None:
        clock = Clock(now=lambda: self.seconds, sleep=self.sleep)
        wait_until(
            self.describe,
            lambda found: found["Status"] == "Completed",
            what="job",
            pace=Pace(slowest=5, deadline=900, interrupt=CancelWatch(now=clock.now).look),
            clock=clock,
        )

    def hook(self, flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
        self.stopped.append(str(flow_run.id))


def waiting(world: World):
    """Return a flow whose subflow's task waits for the world's job."""

    @task
    def follow() -> None:
        world.runs["task"] = str(runtime.task_run.id)
        world.wait()

    @flow(on_cancellation=[world.hook])
    def inner() -> None:
        world.runs["inner"] = str(runtime.flow_run.id)
        follow()

    @flow(on_cancellation=[world.hook])
    def outer() -> None:
        world.runs["outer"] = str(runtime.flow_run.id)
        inner()

    return outer


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("outer", [Cancelling()]),
        ("outer", [Cancelling(), Cancelled()]),
        ("inner", [Cancelling()]),
        # Somebody who died, or who took somebody for dead, had the last word.
        ("outer", [Cancelling(), Crashed()]),
    ],
    ids=["cancelling", "cancelled", "subflow", "overwritten"],
)
def test_a_waiting_run_ends_itself(prefect_server, which, said):
    world = World(lambda: say(world.runs[which], *said))
    with pytest.raises(RunCancelled):
        waiting(world)()
    # Its hooks stopped its jobs, once, and for the root, which is what jobs are found by.
    assert world.stopped == [world.runs["outer"]]
    assert world.asked < POLLS
    for each in ("outer", "inner"):
        assert history(world.runs[each])[-1] is StateType.CANCELLED
        assert StateType.FAILED not in history(world.runs[each])
    with get_client(sync_client=True) as client:
        assert client.read_task_run(UUID(world.runs["task"])).state_type is StateType.CANCELLED


def test_a_run_that_nobody_cancelled_waits_on(prefect_server):
    # Taken for dead, wrongly: its job is not to be stopped.
    world = World(lambda: say(world.runs["outer"], Crashed()))
    waiting(world)()
    assert world.stopped == []
    assert world.asked == POLLS + 1


def test_a_server_that_does_not_answer_ends_no_run(prefect_server, monkeypatch):
    def down() -> None:
        monkeypatch.setattr(watch, "_flow_runs", lambda: [UUID(int=0)])  # the server knows none

    world = World(down)
    waiting(world)()
    assert world.asked == POLLS + 1


def test_the_server_is_asked_every_few_seconds_only(prefect_server, monkeypatch):
    asked = []

    def count(*_: object, **__: object) -> bool:
        asked.append(world.seconds)
        return False

    monkeypatch.setattr(watch, "_is_cancelled", count)
    world = World(lambda: None)
    look, began = CancelWatch(now=lambda: world.seconds).look, 0.0
    while world.seconds < 60:
        look()
        world.seconds += 0.5
    assert asked == [began + 5 * n for n in range(12)]


def test_a_worker_gets_the_time_to_do_it(prefect_server, monkeypatch):
    monkeypatch.setattr(watch, "_has_worker", lambda: True)
    seen: list[float] = []

    def cancel() -> None:
        say(world.runs["outer"], Cancelling())
        seen.append(world.seconds)

    world = World(cancel)
    with pytest.raises(RunCancelled):
        waiting(world)()
    assert 10 <= world.seconds - seen[0] <= 30


def test_a_cancelled_run_begins_nothing(prefect_server):
    begun = []

    @flow
    def run() -> None:
        end_if_cancelled()
        begun.append("a stage")
        say(runtime.flow_run.id, Cancelling(), Crashed())
        end_if_cancelled()
        begun.append("another stage")

    with pytest.raises(RunCancelled):
        run()
    assert begun == ["a stage"]


@pytest.mark.parametrize("wait", [CancelWatch().look, end_if_cancelled])
def test_a_lost_interrupt_ends_the_wait(wait):
    with NotedInterrupts(signal.SIGINT):
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            wait()


def test_outside_of_a_flow_run_nothing_is_seen():
    end_if_cancelled()
    CancelWatch().look()
