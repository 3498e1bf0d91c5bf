from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from platforms.local.records import Exists, Missing, Records, now, with_times

KIND = "models"


def _create(root: Path, start: float, number: int, results: Any) -> None:
    time.sleep(max(0.0, start - time.time()))
    try:
        Records(root).create(KIND, "name", {"Number": number})
    except Exists:
        results.put(None)
    else:
        results.put(number)


def _count(root: Path, times: int) -> None:
    for _ in range(times):
        Records(root).update(KIND, "name", lambda record: {"Count": record["Count"] + 1})


def test_round_trip(tmp_path: Path) -> None:
    records = Records(tmp_path / 'it\'s a "home" é')
    records.create(KIND, "a-1", {"Name": "é", "Tags": []})
    assert records.read(KIND, "a-1") == {"Name": "é", "Tags": []}
    assert records.update(KIND, "a-1", lambda each: {**each, "X": 1})["X"] == 1
    assert records.read(KIND, "a-1")["X"] == 1
    assert records.names(KIND) == ("a-1",)
    assert [each["Name"] for each in records.list(KIND)] == ["é"]
    records.delete(KIND, "a-1")
    assert records.names(KIND) == ()
    records.create(KIND, "a-1", {"Name": "again"})


def test_missing(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for use in (
        lambda: records.read(KIND, "none"),
        lambda: records.update(KIND, "none", dict),
        lambda: records.delete(KIND, "none"),
    ):
        with pytest.raises(Missing, match="models/none"):
            use()
    assert records.list(KIND) == []


@pytest.mark.parametrize("name", ["", ".", "..", ".new-1", "a/b", "a\0b"])
def test_names_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        Records(tmp_path).create(KIND, name, {})


@pytest.mark.slow
def test_of_many_creators_one_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    start = time.time() + 1.5
    racers = [
        context.Process(target=_create, args=(tmp_path, start, number, results))
        for number in range(4)
    ]
    for racer in racers:
        racer.start()
    outcomes = [results.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join()
    winners = [outcome for outcome in outcomes if outcome is not None]
    assert len(winners) == 1
    assert Records(tmp_path).read(KIND, "name") == {"Number": winners[0]}


@pytest.mark.slow
def test_updates_do_not_overlap(tmp_path: Path) -> None:
    Records(tmp_path).create(KIND, "name", {"Count": 0})
    context = multiprocessing.get_context("spawn")
    counters = [context.Process(target=_count, args=(tmp_path, 50)) for _ in range(3)]
    for counter in counters:
        counter.start()
    for counter in counters:
        counter.join()
    assert Records(tmp_path).read(KIND, "name") == {"Count": 150}


def test_a_failing_change_changes_nothing(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.create(KIND, "name", {"Count": 0})

    def fail(record: dict[str, Any]) -> dict[str, Any]:
        record["Count"] = 9
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        records.update(KIND, "name", fail)
    with pytest.raises(TypeError):
        records.update(KIND, "name", lambda _: {"Bad": object()})
    assert records.read(KIND, "name") == {"Count": 0}
    assert records.update(KIND, "name", lambda each: {**each, "Ok": True})["Ok"]


def test_a_creator_killed_half_way_leaves_no_record(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
import platforms.local.records as records
write = records.write_json
def killed(path, value):
    write(path, value)
    os.kill(os.getpid(), signal.SIGKILL)
records.write_json = killed
records.Records(Path(sys.argv[1])).create("models", "name", {})
"""
    died = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert died.returncode == -signal.SIGKILL
    records = Records(tmp_path)
    assert records.names(KIND) == ()
    leftover = next((tmp_path / KIND).glob(".new-*"))
    os.utime(leftover, (0, 0))
    records.create(KIND, "name", {"By": "the second"})
    assert records.names(KIND) == ("name",)
    assert not leftover.exists()


def test_an_updater_that_waited_for_a_deleted_record_finds_none(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.create(KIND, "name", {})
    inside, go = threading.Event(), threading.Event()

    def slow(record: dict[str, Any]) -> dict[str, Any]:
        inside.set()
        assert go.wait(30)
        return record

    with ThreadPoolExecutor() as pool:
        first = pool.submit(records.update, KIND, "name", slow)
        assert inside.wait(30)
        deletion = pool.submit(records.delete, KIND, "name")
        while not (tmp_path / KIND / "name" / ".lock").exists():
            time.sleep(0.01)
        go.set()
        first.result(30)
        deletion.result(30)
    with pytest.raises(Missing):
        records.update(KIND, "name", dict)
    records.create(KIND, "name", {"New": True})
    assert records.update(KIND, "name", dict) == {"New": True}


def test_times_are_aware_and_only_ours() -> None:
    moment = now()
    stored = json.loads(
        json.dumps(
            {
                "CreationTime": moment,
                "Transitions": [{"StartTime": moment}],
                "FinalMetricDataList": [{"Timestamp": "2026-11-22T04:10:26.486738+00:00"}],
                "HyperParameters": {"StartTime": moment, "Timestamp": "x"},
                "FailureReason": moment,
                "EndTime": "later",
            }
        )
    )
    times = with_times(stored)
    assert isinstance(times["CreationTime"], datetime)
    assert times["CreationTime"].tzinfo == UTC
    assert times["Transitions"][0]["StartTime"] == times["CreationTime"]
    assert times["FinalMetricDataList"][0]["Timestamp"].year == 2026
    assert times["HyperParameters"] == {"StartTime": moment, "Timestamp": "x"}
    assert times["FailureReason"] == moment
    assert times["EndTime"] == "later"
