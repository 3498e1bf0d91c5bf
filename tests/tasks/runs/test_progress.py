"""The bar of a task's progress in the Prefect UI, on a real server."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import httpx
import pytest

from tests.worlds.platforms import fake_platform


def _fails() -> None:
    raise ValueError("the work failed")


@pytest.mark.slow
def test_a_bar_is_full_only_once_its_work_is_done(prefect_server):
    from prefect import flow
    from prefect.settings import PREFECT_API_URL

    from tasks.runs.progress import Progress

    def bar(key: str, end: Callable[[Progress], None]) -> float:
        try:
            with Progress(key) as progress:
                progress.of(2, 5)
                end(progress)
        except ValueError:
            pass
        found = httpx.get(f"{PREFECT_API_URL.value()}/artifacts/{key}/latest")
        return float(found.raise_for_status().json()["data"])

    @flow
    def work() -> list[float]:
        return [
            bar("done", lambda progress: None),
            bar("failed", lambda progress: _fails()),
            bar("job-failed", Progress.stay),
        ]

    assert work() == [100.0, 40.0, 40.0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "shown"), [("Completed", 100.0), ("Failed", 25.0), ("Stopped", 25.0)]
)
def test_the_bar_of_a_training_stays_where_it_ended(prefect_server, status: str, shown: float):
    from prefect import flow
    from prefect.settings import PREFECT_API_URL

    from tasks.parameters.run import ResourceParameters
    from tasks.training import _follow

    ended = {
        "TrainingJobName": "demo-train",
        "TrainingJobStatus": status,
        "FinalMetricDataList": [{"MetricName": "epoch", "Value": 1}],
    }
    service = SimpleNamespace(describe_training_job=lambda TrainingJobName: ended)

    @flow
    def follow() -> None:
        _follow(fake_platform(service), "demo-train", {"epochs": 4}, ResourceParameters())

    follow()
    found = httpx.get(f"{PREFECT_API_URL.value()}/artifacts/training-progress/latest")
    assert float(found.raise_for_status().json()["data"]) == shown
