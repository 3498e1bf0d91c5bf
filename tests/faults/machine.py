"""Schedules of faults against the functions that the tasks call, on a clock of their own.

Two runners of one run, any trouble at any call, kills between and inside of calls, and a stranger
who asks for something else under the same name. However it goes: no name is created twice, no step
has two jobs that are neither failed nor stopped, nothing of the stranger's is taken for ours, and
once the trouble is over a resumed run ends well, with one job and one endpoint.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as ServiceConnectionError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from platforms.client_errors import is_transient
from platforms.errors import JobFailed, WhippetError
from platforms.job_status import TERMINAL
from tasks.endpoints.remove import remove_endpoint
from tasks.parameters.run import TrainingParameters
from tasks.requests.bodies import training_job_request
from tasks.requests.create_or_adopt import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    SPENT,
    TRAINING_JOB,
    create_or_adopt,
)
from tasks.requests.identity import with_tags
from tasks.requests.waiting import Clock, Pace, wait_until
from tests.faults.service import Killed, Service, Trouble, VirtualTime
from tests.worlds.requests import deployment_requests, inputs

T = TypeVar("T")
TROUBLE = st.sampled_from(
    [
        *("none", "throttled", "failed before", "failed after", "never connected"),
        *("answer lost", "stale", "killed before", "killed after", "other runner first"),
    ]
)
PASSING = st.sampled_from(
    ["throttled", "failed before", "failed after", "never connected", "answer lost", "stale"]
)
# What Prefect does with a task whose fault may pass (tasks/runs/task_policy.py).
_RETRIES = 4
_JOB, _STEPS = "demo-train", ("model", "endpoint_config", "endpoint")
_OURS = {
    attempt: training_job_request(
        _JOB if attempt == 1 else f"{_JOB}-{attempt}", {"lr": 0.1}, inputs(), TrainingParameters()
    )
    for attempt in range(1, 10)
}
_THEIRS = training_job_request(_JOB, {"lr": 0.2}, inputs(), TrainingParameters())
_HOSTING = [
    (resource, with_tags(dict(body), {"run": "demo"}))
    for resource, (_, body) in zip(
        (MODEL, ENDPOINT_CONFIG, ENDPOINT), deployment_requests(), strict=True
    )
]


@dataclass
class Runner:
    """A process that does what a run does; begun again after a kill, it begins at the beginning."""

    service: Service
    ended: bool = False
    trouble: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Do all of it, or die on the way, or fail as a flow does."""
        try:
            spent = self._task(self._spent)
            job = self._task(lambda: self._launch(spent))
            self._task(lambda: self._follow(job))
            for resource, body in _HOSTING:
                self._task(lambda resource=resource, body=body: self._create(resource, body))  # type: ignore[misc]
            self.ended = True
        except (Killed, WhippetError, ClientError, ServiceConnectionError, HTTPClientError) as end:
            self.trouble.append(f"{type(end).__name__}: {end}")

    def _task(self, work: Callable[[], T]) -> T:
        """Run a task as Prefect does: again after a fault that may pass, with longer pauses."""
        for attempt in itertools.count():
            try:
                return work()
            except (ClientError, ServiceConnectionError, HTTPClientError) as error:
                if attempt == _RETRIES or not is_transient(error):
                    raise
                self.service.time.sleep(2.0**attempt)
        raise AssertionError("a count has no end")

    def _spent(self) -> list[str]:
        found = self.service.list_training_jobs(NameContains=_JOB)["TrainingJobSummaries"]
        return [j["TrainingJobName"] for j in found if j["TrainingJobStatus"] in SPENT]

    def _launch(self, spent: list[str]) -> str:
        service: Any = self.service
        return create_or_adopt(service, TRAINING_JOB, lambda attempt: _OURS[attempt], spent=spent)

    def _follow(self, name: str) -> None:
        time = self.service.time
        job = wait_until(
            lambda: self.service.describe_training_job(TrainingJobName=name),
            lambda found: found["TrainingJobStatus"] in TERMINAL,
            what=name,
            pace=Pace(slowest=5, deadline=3600),
            clock=Clock(now=time.now, sleep=time.sleep, draw=time.draw),
        )
        if job["TrainingJobStatus"] != "Completed":
            raise JobFailed(name)

    def _create(self, resource: Any, body: Any) -> None:
        service: Any = self.service
        create_or_adopt(service, resource, lambda _: body)


class TwoRunners(RuleBasedStateMachine):
    """Any order of trouble, runs, time and strangers; see the module."""

    def __init__(self) -> None:
        super().__init__()
        self.time = VirtualTime()
        self.service = Service(self.time)
        self.stranger_first = False
        self._inside = False

    @rule(trouble=st.lists(TROUBLE, min_size=1, max_size=8))
    def order(self, trouble: list[Trouble]) -> None:
        """Let the next calls meet trouble."""
        self.service.trouble += trouble

    @rule()
    def run(self) -> None:
        """Let a runner do all that it can; another one comes in between where that was ordered."""
        self.service.other_runner = self._other
        Runner(self.service).run()

    def _other(self) -> None:
        if not self._inside:
            self._inside = True
            Runner(self.service).run()
            self._inside = False

    @rule(trouble=PASSING, after=st.integers(0, 25), times=st.integers(1, 3))
    def run_through(self, trouble: Trouble, after: int, times: int) -> None:
        """Let a runner meet one kind of trouble that passes: it must not need to be resumed."""
        self.service.trouble = [*["none"] * after, *[trouble] * times]  # type: ignore[list-item]
        runner = Runner(self.service)
        runner.run()
        self.service.trouble.clear()
        expected = ("JobFailed", "NameTaken" if self.stranger_first else "JobFailed")
        assert runner.ended or runner.trouble[-1].startswith(expected), runner.trouble

    @rule(seconds=st.floats(0, 4000))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.time.sleep(seconds)

    @rule(days=st.floats(-2, 2))
    def set_clock(self, days: float) -> None:
        """Set the service's clock."""
        self.service.jump(days * 86_400)

    @precondition(lambda self: not self.stranger_first)
    @rule()
    def fail_first_job(self) -> None:
        """Let the job's first attempt fail, if it has not ended."""
        self.service.failing.add(_JOB)

    @precondition(lambda self: not self.service.created and not self.service.failing)
    @rule()
    def stranger(self) -> None:
        """Let somebody else take the job's name for something else."""
        self.service.trouble.clear()
        self.service.create_training_job(**_THEIRS)
        self.stranger_first = True

    @rule()
    def cancel(self) -> None:
        """Remove the endpoint, as a cancel does; what is created again later is another one."""
        self.service.trouble.clear()
        platform: Any = SimpleNamespace(
            sagemaker=self.service, scaling=None, defaults=SimpleNamespace(poll_seconds=1)
        )
        model, config, endpoint = (body[resource.name_member] for resource, body in _HOSTING)
        remove_endpoint(platform, endpoint, config, [model])
        for kind in _STEPS:
            for key in [key for key in self.service.created if key[0] == kind]:
                del self.service.created[key]

    @invariant()
    def no_name_is_created_twice(self) -> None:
        """Every create that was carried out made something new."""
        assert all(count == 1 for count in self.service.created.values()), self.service.created

    @invariant()
    def one_job_is_at_work(self) -> None:
        """At most one job of the step is neither failed nor stopped."""
        jobs = self._jobs()
        assert sum(status not in SPENT for status in jobs.values()) <= 1, jobs

    def teardown(self) -> None:
        """The trouble is over: a resumed run ends well, or says whose name it is."""
        self.service.trouble.clear()
        runner = Runner(self.service)
        for _ in range(3):
            runner.run()
        if self.stranger_first:
            assert not runner.ended
            assert all("another request" in each for each in runner.trouble), runner.trouble
            return
        assert runner.ended, runner.trouble
        assert sorted(self._jobs().values()).count("Completed") == 1
        self.no_name_is_created_twice()

    def _jobs(self) -> dict[str, str]:
        found = self.service.fake.resources
        return {n: job["TrainingJobStatus"] for (k, n), job in found.items() if k == "training_job"}
