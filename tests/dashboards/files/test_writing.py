from __future__ import annotations

from pathlib import Path

import pandas as pd

from dashboards.files.reading import read_csv
from dashboards.files.writing import as_csv
from sm_entrypoints import contract
from sm_entrypoints.contract.strangers.tables import read_table


def test_names_stay_names_and_numbers_numbers(tmp_path: Path) -> None:
    names = ["=1+1/a.jpg", "+1.jpg", "-x", "@me", "'=quoted", "'tis", "-5", "cat"]
    row = {"probability": 0.5, "label_probability": -0.5, "loss": -1.5, "correct": True}
    frame = pd.DataFrame(
        [{"path": name, "label": name, "predicted": name, **row} for name in names]
    )
    frame["label"] = frame["label"].astype("category")
    path = tmp_path / contract.PREDICTIONS_FILE
    path.write_bytes(as_csv(frame.astype({"correct": "boolean"})))
    again = read_csv(path, contract.PREDICTION_COLUMNS)
    for column in ("path", "label", "predicted"):
        assert again[column].tolist() == names
    assert again["loss"].tolist() == [-1.5] * len(names)
    assert [each["path"] for each in read_table(path.read_text("utf-8"))] == names
    assert ",-1.5," in path.read_text("utf-8")
    first = path.read_text("utf-8").splitlines()[1]
    assert first.startswith("'=1+1/a.jpg,'=1+1/a.jpg,")


def test_heads_and_gaps(tmp_path: Path) -> None:
    text = as_csv(pd.DataFrame([{"=cmd": None, "b": 1.0}, {"=cmd": "=x", "b": None}])).decode()
    assert text == "'=cmd,b\n,1.0\n'=x,\n"
    assert as_csv(pd.DataFrame()) == b"\n"
