from __future__ import annotations

import random
import statistics
from itertools import pairwise

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from platforms.client_errors import NotSeenYet, client_error, is_transient
from platforms.errors import DeadlinePassed, JobFailed
from tasks.requests.waiting import Clock, Pace, wait_until
from tests.worlds.fake_sagemaker import throttled


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
        NotSeenYet({"Error": {"Code": "ResourceInUse"}}, "CreateTrainingJob"),
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
    assert len(seen) == len(time.asked)
    assert len(seen) > 1


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


def gaps(time: Time) -> list[float]:
    return [after - before for before, after in pairwise(time.asked)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cost", [0.0, 0.3, 3.0])
def test_gaps_are_from_question_to_question_after_a_longer_first_one(seed, cost):
    time = Time(seed, cost)
    wait_until(time.job(300), done, what="j", pace=Pace(slowest=5, deadline=900), clock=time.clock)
    first, *others = gaps(time)
    assert 5 <= first <= 15
    assert all(5 - 1e-6 <= gap <= 5.75 + 1e-6 for gap in others)
    assert len(time.asked) <= 0.2 * 300 + 2


def test_an_answer_that_takes_longer_than_the_pace_leaves_a_rest():
    time = Time(cost=20)
    wait_until(time.job(100), done, what="j", pace=Pace(slowest=5, deadline=900), clock=time.clock)
    assert gaps(time)[1:] == [pytest.approx(21)] * (len(time.asked) - 2)


def test_a_question_that_met_trouble_is_soon_repeated_and_paid_back():
    time = Time()
    job = time.job(600)

    def flaky():
        answer = job()
        if len(time.asked) in (30, 31, 60):
            raise throttled()
        return answer

    wait_until(flaky, done, what="j", pace=Pace(slowest=5, deadline=900), clock=time.clock)
    every = gaps(time)
    assert [0.5 <= every[asked - 1] <= 1 for asked in (30, 31, 60)] == [True] * 3
    assert every[31] > 5.5, "longer gaps pay for it"
    assert len(time.asked) <= 0.2 * time.seconds + 1


def test_trouble_that_never_ends_is_not_asked_about_without_end():
    time = Time()

    def describe():
        time.asked.append(time.seconds)
        raise throttled()

    with pytest.raises(DeadlinePassed):
        wait_until(describe, done, what="j", pace=Pace(slowest=5, deadline=1000), clock=time.clock)
    assert len(time.asked) <= 0.2 * 1000 + 4


def test_waits_that_start_together_drift_apart():
    times = [Time(seed) for seed in range(20)]
    for time in times:
        pace = Pace(slowest=5, deadline=900)
        wait_until(time.job(600), done, what="j", pace=pace, clock=time.clock)
    assert statistics.pstdev(time.asked[-2] for time in times) > 0.3


@pytest.mark.parametrize("cost", [0.05, 0.2])
def test_detection_lag_and_rate_of_questions_at_five_seconds(cost):
    ends = random.Random(1)
    lags, asked, seconds = [], 0, 0.0
    for seed in range(300):
        end = ends.uniform(120, 3600)
        time = Time(seed, cost)
        pace = Pace(slowest=5, deadline=1e6)
        wait_until(time.job(end), done, what="j", pace=pace, clock=time.clock)
        lags.append(time.seconds - end)
        asked += len(time.asked)
        seconds += time.seconds
    assert statistics.quantiles(lags, n=20)[-1] <= 5.0
    assert asked / seconds <= 0.2
