from __future__ import annotations

import random
import statistics

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from platforms.client_errors import client_error
from platforms.errors import DeadlinePassed, JobFailed
from tasks.waiting import Clock, Pace, is_transient, wait_until
from tests.fake_sagemaker import throttled


class Time:
    """A clock that moves only when somebody sleeps; asking takes ``cost`` seconds."""

    def __init__(self, seed: int = 0, cost: float = 0.0) -> None:
        self.seconds, self.cost, self.asked = 0.0, cost, []
        self.clock = Clock(
            now=lambda: self.seconds, sleep=self.sleep, draw=random.Random(seed).random
        )

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.seconds += seconds

    def job(self, ends: float):
        def describe():
            self.asked.append(self.seconds)
            self.seconds += self.cost
            return {"Status": "Completed" if self.asked[-1] >= ends else "InProgress"}

        return describe


def done(description):
    return description["Status"] == "Completed"


def status(code: int) -> ClientError:
    answer = {"Error": {"Code": "Odd"}, "ResponseMetadata": {"HTTPStatusCode": code}}
    return ClientError(answer, "X")


@pytest.mark.parametrize(
    "error",
    [
        throttled(),
        status(500),
        status(503),
        EndpointConnectionError(endpoint_url="http://x"),
        ReadTimeoutError(endpoint_url="http://x"),
        TimeoutError(),
        ConnectionResetError(),
        BrokenPipeError(),
    ],
)
def test_faults_that_pass(error):
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        client_error("X", "ValidationException", "no"),
        client_error("X", "ResourceLimitExceeded", "no"),
        status(403),
        ClientError({}, "X"),
        NoCredentialsError(),
        JobFailed("no"),
        DeadlinePassed("no"),
        FileNotFoundError(),
        ValueError(),
    ],
)
def test_faults_that_stay(error):
    assert not is_transient(error)


def test_every_description_is_shown_and_the_last_one_returned():
    time, seen = Time(), []
    pace = Pace(slowest=5, deadline=100)
    found = wait_until(
        time.job(12), done, what="job", pace=pace, watch=seen.append, clock=time.clock
    )
    assert found == {"Status": "Completed"}
    assert [each["Status"] for each in seen] == [*["InProgress"] * (len(seen) - 1), "Completed"]
    assert len(seen) == len(time.asked) == 4


def test_what_is_finished_already_costs_no_wait():
    time = Time()
    wait_until(time.job(0), done, what="job", pace=Pace(slowest=5, deadline=9), clock=time.clock)
    assert time.asked == [0]
    assert time.seconds == 0


@pytest.mark.parametrize("where", ["describe", "watch"])
def test_hiccups_do_not_end_the_wait(where):
    time = Time()
    faults = [throttled(), status(500), ConnectionResetError(), TimeoutError()]
    job = time.job(12)

    def flaky(_=None):
        if faults:
            raise faults.pop(0)

    def describe():
        if where == "describe":
            flaky()
        return job()

    watch = flaky if where == "watch" else lambda _: None
    pace = Pace(slowest=5, deadline=100)
    wait_until(describe, done, what="job", pace=pace, watch=watch, clock=time.clock)
    assert not faults
    assert time.seconds < 30


def test_other_errors_end_the_wait_at_once():
    time = Time()

    def describe():
        time.asked.append(time.seconds)
        raise client_error("DescribeTrainingJob", "ValidationException", "gone")

    with pytest.raises(ClientError, match="gone"):
        wait_until(describe, done, what="j", pace=Pace(slowest=5, deadline=9), clock=time.clock)
    assert len(time.asked) == 1


def test_deadline_is_kept_and_asked_once_more_at_its_end():
    time = Time()
    with pytest.raises(DeadlinePassed, match="training job 'x' did not finish within 60 seconds"):
        wait_until(
            time.job(1e9),
            done,
            what="training job 'x'",
            pace=Pace(slowest=7, deadline=60),
            clock=time.clock,
        )
    assert time.seconds == time.asked[-1] == 60


def test_a_job_that_ends_at_the_deadline_is_seen():
    time = Time()
    wait_until(time.job(60), done, what="j", pace=Pace(slowest=7, deadline=60), clock=time.clock)


def test_deadline_names_the_trouble_that_never_passed():
    time = Time()

    def describe():
        raise throttled()

    with pytest.raises(DeadlinePassed) as passed:
        wait_until(describe, done, what="j", pace=Pace(slowest=5, deadline=60), clock=time.clock)
    assert isinstance(passed.value.__cause__, ClientError)


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_jitter_is_bounded(draw):
    assert 5 <= Pace(slowest=5, deadline=1).delay(lambda: draw) <= 5.25


def test_waits_that_start_together_drift_apart():
    times = [Time(seed) for seed in range(20)]
    for time in times:
        pace = Pace(slowest=5, deadline=900)
        wait_until(time.job(600), done, what="j", pace=pace, clock=time.clock)
    assert statistics.pstdev(time.asked[-2] for time in times) > 0.3


def test_detection_lag_and_rate_of_questions_at_five_seconds():
    ends = random.Random(1)
    lags, asked, seconds = [], 0, 0.0
    for seed in range(2000):
        end = ends.uniform(120, 3600)
        time = Time(seed, cost=0.05)
        pace = Pace(slowest=5, deadline=1e6)
        wait_until(time.job(end), done, what="j", pace=pace, clock=time.clock)
        lags.append(time.asked[-1] - end)
        asked += len(time.asked)
        seconds += time.asked[-1]
    assert statistics.quantiles(lags, n=20)[-1] <= 5.0
    assert asked / seconds <= 0.2
