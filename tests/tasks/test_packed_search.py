"""What the tasks of a packed search show while it runs."""

from __future__ import annotations

import csv
import json
from typing import Any

import httpx
import obstore
import pytest
from obstore.store import MemoryStore

from sm_entrypoints import contract
from tests.worlds.packed_search import packed_request, trial_table
from tests.worlds.platforms import platform_with_run


def seen(job: dict[str, Any], done: int, best: float) -> Any:
    values = dict(zip(contract.SEARCH_METRICS, (done, 4, best), strict=True))
    metrics = [{"MetricName": name, "Value": value} for name, value in values.items()]
    return {**job, "TrainingJobStatus": "InProgress", "FinalMetricDataList": metrics}


@pytest.mark.slow
def test_the_trial_table_grows_while_a_packed_search_runs(prefect_server, whippet_home):
    from prefect import flow
    from prefect.settings import PREFECT_API_URL

    from tasks.packed_search import TrialWatch
    from tasks.runs.progress import Progress
    from tasks.runs.record import TRIALS_FILE, run_folder

    store = MemoryStore()
    platform = platform_with_run(whippet_home, store=lambda _: store)
    run = platform.run
    job: dict[str, Any] = {**packed_request(run)}
    name = job["TrainingJobName"]
    trials = [(0.1, [0.9, 0.8]), (0.2, [0.7]), (0.3, []), (0.4, [0.6])]
    place = f"whippet/features/pets/search-{name}/trials.json"

    def rows() -> list[dict[str, str]]:
        path = run_folder(platform.settings, run.name) / TRIALS_FILE
        if not path.exists():
            return []
        with path.open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @flow
    def watch() -> list[int]:
        counts = []
        with Progress("tuning-progress") as progress:
            looks = TrialWatch(platform, run, progress, 4)
            looks.show(seen(job, 2, 0.7))  # the line of the log is there before the table
            counts.append(len(rows()))
            for done in (2, 3):
                table = json.dumps(trial_table(name, trials[:done]))
                obstore.put(store, place, table.encode())
                looks.show(seen(job, done, 0.7))
                counts.append(len(rows()))
        return counts

    assert watch() == [0, 2, 3]
    assert [row["valid:loss"] for row in rows()] == ["0.8", "0.7", ""]
    answer = httpx.get(f"{PREFECT_API_URL.value()}/artifacts/trials/latest").raise_for_status()
    assert trial_table(name, trials)[1]["TrainingJobName"] in answer.text
    progress = httpx.get(f"{PREFECT_API_URL.value()}/artifacts/tuning-progress/latest")
    assert progress.raise_for_status().json()["type"] == "progress"
