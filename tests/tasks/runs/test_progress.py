"""The bar of a task's progress in the Prefect UI, on a real server."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest


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
