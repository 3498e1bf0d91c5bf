"""A SageMaker in memory that throttles, fails, loses answers, lags behind, and tells the time.

Each call takes the next of the ``trouble`` that was ordered; what is done is counted, whatever the
caller is told of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from tests.worlds.fake_sagemaker import FakeSageMaker, throttled

Trouble = Literal[
    "none",
    "throttled",
    "failed before",
    "failed after",
    "never connected",
    "answer lost",
    "stale",
    "killed before",
    "killed after",
    "other runner first",
]
JOB_SECONDS = 60.0
_START = datetime(2026, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """The runner's process is gone: nothing of it catches this."""


class VirtualTime:
    """Seconds that pass when somebody sleeps; ``draw`` makes no two waits alike."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._drawn = 0

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds

    def draw(self) -> float:
        """Return what stands for a random number, the same in every replay."""
        self._drawn += 1
        return (self._drawn * 0.618034) % 1.0


class Service:
    """What runners call; ``created`` counts what came to be, by kind and name."""

    def __init__(self, time: VirtualTime) -> None:
        self.fake = FakeSageMaker()
        self.time = time
        self.trouble: list[Trouble] = []
        self.created: Counter[tuple[str, str]] = Counter()
        self.failing: set[str] = set()
        self.other_runner: Callable[[], None] = lambda: None
        self.calls = 0
        self._shift = timedelta(0)
        self._ends: dict[str, float] = {}

    def jump(self, seconds: float) -> None:
        """Set the service's clock, forwards or backwards; time goes on as it did."""
        self._shift += timedelta(seconds=seconds)

    def __getattr__(self, operation: str) -> Any:
        if operation.startswith("_"):
            raise AttributeError(operation)
        return lambda **request: self._call(operation, request)

    def _call(self, operation: str, request: dict[str, Any]) -> Any:
        self.calls += 1
        self.time.sleep(0.05)
        trouble: Trouble = self.trouble.pop(0) if self.trouble else "none"
        self._raise_before(trouble, operation)
        answer = self._stale(operation, request) if trouble == "stale" else None
        answer = answer or self._done(operation, request)
        self._raise_after(trouble, operation)
        return answer

    def _raise_before(self, trouble: Trouble, operation: str) -> None:
        """Let another runner come first, or be an error after which nothing is done."""
        if trouble == "other runner first":
            self.other_runner()
        if trouble == "killed before":
            raise Killed
        if trouble == "throttled":
            raise throttled(operation)
        if trouble == "failed before":
            raise _server_error(operation)
        if trouble == "never connected":
            raise ConnectTimeoutError(endpoint_url="https://sagemaker")

    def _raise_after(self, trouble: Trouble, operation: str) -> None:
        """Be an error although all is done."""
        if trouble == "killed after":
            raise Killed
        if trouble == "failed after":
            raise _server_error(operation)
        if trouble == "answer lost":
            raise ReadTimeoutError(endpoint_url="https://sagemaker")

    def _done(self, operation: str, request: dict[str, Any]) -> Any:
        self._advance()
        answer = getattr(self.fake, operation)(**request)
        verb, _, kind = operation.partition("_")
        if verb == "create":
            name = next(str(value) for key, value in request.items() if key.endswith("Name"))
            self.created[kind, name] += 1
            self.fake.resources[kind, name]["CreationTime"] = self._date()
            if kind == "training_job":
                self._ends[name] = self.time.now() + JOB_SECONDS
        return answer

    def _stale(self, operation: str, request: dict[str, Any]) -> Any:
        """Answer a describe as if what was done last were not done yet."""
        if not operation.startswith("describe_"):
            return None
        missing = {key: f"never-{value}"[:63] for key, value in request.items()}
        return getattr(self.fake, operation)(**missing)

    def _advance(self) -> None:
        """Let jobs end whose time has come."""
        for (kind, name), job in self.fake.resources.items():
            if kind == "training_job" and self._ends.get(name, 0) <= self.time.now():
                if job["TrainingJobStatus"] == "Stopping":
                    job["TrainingJobStatus"] = "Stopped"
                if job["TrainingJobStatus"] == "InProgress":
                    ended = "Failed" if name in self.failing else "Completed"
                    job["TrainingJobStatus"] = ended

    def _date(self) -> datetime:
        return _START + timedelta(seconds=self.time.now()) + self._shift


def _server_error(operation: str) -> ClientError:
    response: Any = {
        "Error": {"Code": "InternalFailure", "Message": "We are sorry"},
        "ResponseMetadata": {"HTTPStatusCode": 500},
    }
    return ClientError(response, operation)
