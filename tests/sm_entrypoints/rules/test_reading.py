from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sm_entrypoints.contract import STEP_COLUMNS, WORKER_COLUMNS
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.reading import read_evidence, read_table

HEADER = ",".join(STEP_COLUMNS)
ROW = "{step},1,TRAIN,1700000000.5,0.1,0.01,0.2,0.3,0.05,32,tail"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "jøb's output"
    (made / "instrumentation").mkdir(parents=True)
    return made


def test_an_empty_folder_is_no_evidence(tmp_path: Path) -> None:
    found, nothing = read_evidence(tmp_path / "not there"), Evidence()
    assert (found.records, found.steps, found.job, found.cores) == ([], {}, {}, 0)
    assert (found.evaluation, found.class_counts) == (nothing.evaluation, nothing.class_counts)


def test_steps_become_columns(folder: Path) -> None:
    lines = [HEADER, *(ROW.format(step=step) for step in range(3))]
    (folder / "instrumentation/steps.csv").write_text("\n".join(lines) + "\n")
    steps = read_evidence(folder).steps
    assert set(steps) == set(STEP_COLUMNS)
    assert steps["step"].tolist() == [0, 1, 2]
    assert steps["mode"].tolist() == ["TRAIN"] * 3
    assert steps["backward"].dtype == np.float64
    assert steps["network"].tolist() == ["tail"] * 3


def test_steps_of_an_earlier_version_ran_the_whole_network(folder: Path) -> None:
    lines = [HEADER, *(ROW.format(step=step) for step in range(3))]
    earlier = "".join(line.rpartition(",")[0] + "\n" for line in lines)
    (folder / "instrumentation/steps.csv").write_text(earlier)
    steps = read_evidence(folder).steps
    assert set(steps) == set(STEP_COLUMNS)
    assert steps["network"].tolist() == ["whole"] * 3


@pytest.mark.parametrize(
    "broken",
    [ROW.format(step=2)[:-1], "2,1,TRAIN,17000", ROW.format(step="two") + "\n", "\0\0\0\n", ","],
)
def test_a_broken_row_is_left_out(folder: Path, broken: str) -> None:
    sound = "".join(ROW.format(step=step) + "\n" for step in range(2))
    (folder / "instrumentation/steps.csv").write_text(f"{HEADER}\n{sound}{broken}")
    assert read_evidence(folder).steps["step"].tolist() == [0, 1]


def test_a_table_with_other_columns_is_none(tmp_path: Path) -> None:
    file = tmp_path / "workers.csv"
    file.write_text("pid,started\n1,2\n")
    assert read_table(file, WORKER_COLUMNS) == {}
    file.write_text("mode,pid,started,seconds,samples\nTRAIN,1,2,3,4\n")
    assert read_table(file, WORKER_COLUMNS)["seconds"].tolist() == [3.0]
    file.write_text("pid,started,seconds,samples\n")
    assert read_table(file, WORKER_COLUMNS) == {}


def test_records_of_an_older_version_and_half_a_line(folder: Path) -> None:
    whole = {"step": 3, "epoch": 1, "mode": "TRAIN", "collection": "losses", "name": "loss"}
    lines = [
        json.dumps({**whole, "mean": 0.5, "from_the_future": 1}),
        json.dumps({**whole, "step": None}),
        json.dumps([1, 2]),
        json.dumps(whole)[:40],
    ]
    (folder / "instrumentation/reductions.jsonl").write_text("\n".join(lines))
    (record,) = read_evidence(folder).records
    assert (record.step, record.mean, record.inactive_fraction) == (3, 0.5, None)


def test_system_samples_become_series_in_time_order(folder: Path) -> None:
    system = folder / "profiler-output/system/incremental"
    line = {"Type": "cpu", "Dimension": "CPUUtilization", "NodeId": "algo-1"}
    for hour, moments in (("2026112207", (70.0, 60.0)), ("2026112206", (10.0,))):
        (system / hour).mkdir(parents=True)
        lines = [
            json.dumps({**line, "Name": name, "Value": moment, "Timestamp": moment})
            for moment in moments
            for name in ("cpu0", "cpu1")
        ]
        text = "\n".join([*lines, json.dumps({**line, "Name": "cpu0"}), '{"Type": "cp'])
        (system / hour / "60.algo-1.json").write_text(text)
    found = read_evidence(folder)
    assert [series.name for series in found.system] == ["cpu0", "cpu1"]
    assert found.system[0].timestamps.tolist() == [10.0, 60.0, 70.0]
    assert found.system[0].values.tolist() == [10.0, 60.0, 70.0]
    assert found.cores == 2


def test_documents_and_counts(folder: Path) -> None:
    (folder / "training.json").write_text(json.dumps({"class_counts": {"å": 3}, "threads": 2}))
    (folder / "instrumentation/summary.json").write_text(json.dumps({"cores": 6}))
    (folder / "evaluation.json").write_text('{"accuracy": 0.')
    (folder / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n{"ep')
    found = read_evidence(folder)
    assert found.class_counts == {"å": 3}
    assert found.cores == 6
    assert found.evaluation is None
    assert [row["epoch"] for row in found.epochs] == [1, 2]
