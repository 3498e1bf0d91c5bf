"""How soon a finished job is seen, and how many calls that takes: ``make bench-detection``.

The wait of the flows (tasks/requests/waiting.py) over a virtual clock: no job, no account, no real
time. Goal: p95 at most 5 s at 0.2 Describe calls a second or fewer. A call takes as long as AWS
takes; some answers are throttled, as in a busy account.
"""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tasks.requests.waiting import Clock, Pace, wait_until

JOBS = 5000
POLL_SECONDS = 5.0
# How long an answer takes, and the share of answers that are refusals.
CASES = ((0.05, 0.0), (0.2, 0.0), (0.05, 0.01), (0.2, 0.01), (0.05, 0.1))
THROTTLED: Any = {
    "Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"},
    "ResponseMetadata": {"HTTPStatusCode": 400},
}


@dataclass(slots=True)
class VirtualJob:
    """A job that ends at ``ends`` seconds of a clock that moves only by waiting and asking."""

    ends: float
    latency: float
    throttled: float
    chance: random.Random
    now: float = 0.0
    asked: int = 0
    seen: float = field(default=0.0)

    def describe(self) -> dict[str, Any]:
        """Answer as the service would, some time later."""
        self.asked += 1
        status = "Completed" if self.now >= self.ends else "InProgress"
        self.now += self.latency
        if self.chance.random() < self.throttled:
            raise ClientError(THROTTLED, "DescribeTrainingJob")
        self.seen = self.now
        return {"TrainingJobStatus": status}

    def time(self) -> float:
        """Return the time of the clock."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def measure(latency: float, throttled: float) -> dict[str, float]:
    """Return the lag until a finished job is seen (p50, p95, max; s), and questions a second."""
    chance = random.Random(1)
    lags, asked, seconds = [], 0, 0.0
    for _ in range(JOBS):
        job = VirtualJob(chance.uniform(120, 3600), latency, throttled, chance)
        wait_until(
            job.describe,
            lambda found: found["TrainingJobStatus"] == "Completed",
            what="job",
            pace=Pace(slowest=POLL_SECONDS, deadline=1e6),
            clock=Clock(now=job.time, sleep=job.sleep, draw=chance.random),
        )
        lags.append(job.seen - job.ends)
        asked, seconds = asked + job.asked, seconds + job.now
    hundredths = statistics.quantiles(lags, n=100)
    return {
        "p50": hundredths[49],
        "p95": hundredths[94],
        "max": max(lags),
        "rate": asked / seconds,
    }


def main() -> None:
    """Print the table."""
    print(f"{JOBS} virtual jobs of 2 to 60 minutes, asked about every {POLL_SECONDS:.0f} s")
    print("answer takes  throttled   p50 s   p95 s   max s   Describe/s")
    for latency, throttled in CASES:
        found = measure(latency, throttled)
        print(
            f"{latency:9.2f} s {throttled:10.0%} {found['p50']:8.2f}{found['p95']:8.2f}"
            f"{found['max']:8.2f} {found['rate']:12.4f}"
        )


if __name__ == "__main__":
    main()
