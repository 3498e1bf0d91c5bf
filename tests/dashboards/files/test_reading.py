import json
import math

import numpy as np
import pytest

from dashboards.files import reading
from dashboards.files.reading import empty_frame, read_csv, read_json_lines


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_long_files_are_read_in_parts_without_a_seam(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK_BYTES", 100)
    rows = [{"step": n, "name": f"l'été {n % 3}", "mean": n / 7} for n in range(500)]
    path = write(tmp_path / "a b.jsonl", rows)
    frame = read_json_lines([path], ("step", "name", "mean"))
    assert frame["step"].tolist() == list(range(500))
    assert frame["name"].tolist() == [row["name"] for row in rows]
    assert frame["mean"].tolist() == [row["mean"] for row in rows]


def test_a_fault_far_down_is_named_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK_BYTES", 100)
    path = write(tmp_path / "a.jsonl", [{"step": n} for n in range(300)])
    lines = path.read_text().splitlines()
    for bad, message in (
        ("{oops", "line 251: not JSON"),
        ('{"step": [1]}', r"line 251: 'step' must be a number, but got \[1\]"),
        ('{"step": 1}, {"step": 2}', "line 251: not JSON"),
        ("3", "line 251: must be a JSON object"),
    ):
        lines[250] = bad
        path.write_text("\n".join(lines) + "\n")
        with pytest.raises(ValueError, match=message):
            read_json_lines([path], ("step",))


def test_members_that_some_objects_lack_are_gaps(tmp_path):
    rows = [{"step": 1, "inactive_fraction": 0.5, "name": "a"}, {"step": 2}, {"step": None}]
    frame = read_json_lines(
        [write(tmp_path / "a.jsonl", rows), tmp_path / "missing.jsonl"],
        ("step", "inactive_fraction", "name"),
    )
    assert frame["inactive_fraction"].isna().tolist() == [False, True, True]
    assert frame["name"].tolist() == ["a", "", ""]
    assert math.isnan(frame["step"].iloc[2])


def test_numbers_that_only_python_writes_are_read(tmp_path):
    rows = [{"mean": float("nan")}, {"mean": float("inf")}, {"mean": 10**30}]
    values = read_json_lines([write(tmp_path / "a.jsonl", rows)], ("mean",))["mean"]
    np.testing.assert_array_equal(values.to_numpy(), [np.nan, np.inf, 1e30])


def test_files_follow_one_another_and_members_get_their_columns(tmp_path):
    paths = [write(tmp_path / f"{n}.json", [{"Value": n, "Name": "cpu0"}]) for n in (2, 1)]
    frame = read_json_lines(paths, {"Value": "value", "Name": "name"})
    assert frame.to_dict("list") == {"value": [2.0, 1.0], "name": ["cpu0", "cpu0"]}


def test_a_csv_column_of_anything_but_numbers_is_named_with_its_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("mode,started,samples\nTRAIN,1,2\nEVAL,,3\nTRAIN,soon,4\n")
    with pytest.raises(ValueError, match="line 4: 'started' must be a number, but got 'soon'"):
        read_csv(path, ("mode", "started"))
    path.write_text("mode,started\nTRAIN,1\nEVAL,\n")
    frame = read_csv(path, ("started", "mode"))
    assert frame["mode"].tolist() == ["TRAIN", "EVAL"]
    assert frame["started"].isna().tolist() == [False, True]
    path.write_text("")
    assert read_csv(path, ("mode", "started")).dtypes.equals(
        empty_frame(("mode", "started")).dtypes
    )
