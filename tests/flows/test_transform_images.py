"""A folder of pictures is labelled by a real model in a batch transform job, from the shell."""

from __future__ import annotations

import csv
import shutil

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.job]


def test_a_folder_is_labelled_and_a_bad_picture_is_told(released, tmp_path):
    folder = tmp_path / "new é pictures"
    folder.mkdir()
    for number, path in enumerate(sorted(released.data.rglob("*.jpg"))[:4]):
        shutil.copy(path, folder / f"{number}.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    out = tmp_path / "labels.csv"
    ended = released.whippet.run("predict", str(folder), "--out", str(out))
    assert ended.code == 1, ended.err
    assert f"4 of 5 pictures answered: {out}" in ended.out
    rows = {row["image"]: row for row in csv.DictReader(out.read_text("utf-8").splitlines())}
    assert "the model answered 400" in rows.pop("broken.jpg")["error"]
    labels = {path.parent.name for path in released.data.rglob("*.jpg")}
    assert {row["label"] for row in rows.values()} <= labels
    assert len(rows) == 4
    # The same question finds the same job.
    again = released.whippet.run("predict", str(folder), "--out", str(out))
    assert again.err.splitlines()[1] == ended.err.splitlines()[1]
