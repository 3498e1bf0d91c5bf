"""What changes between two models on the same pictures: against numbers worked out by hand."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from obstore.store import LocalStore

from tasks.requests.paired_gain import paired_gain, read_validation, validation_of
from tests.worlds.platforms import fake_platform

HEADER = "path,label,predicted,probability,label_probability,loss,correct\n"


def validation(**losses: tuple[float, bool]) -> pd.DataFrame:
    """Return losses and whether the answer was right, by picture."""
    frame = pd.DataFrame.from_dict(losses, orient="index", columns=["loss", "correct"])
    return frame.astype("float64")


BEFORE = validation(a=(1.0, False), b=(2.0, False), c=(3.0, True), d=(4.0, True))


def test_only_what_changes_on_a_picture_counts():
    after = validation(d=(3.0, True), c=(2.5, False), b=(1.0, True), a=(0.5, True))
    gain = paired_gain(BEFORE, after)
    assert gain is not None
    assert gain.pictures == 4
    assert gain.loss.change == pytest.approx(-0.75)
    # Of -0.5, -1, -0.5, -1: the losses themselves differ by far more.
    assert gain.loss.error == pytest.approx((1 / 12) ** 0.5 / 2)
    assert gain.accuracy.change == pytest.approx(0.25)
    assert gain.accuracy.error == pytest.approx((2.75 / 3) ** 0.5 / 2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, BEFORE),
        (BEFORE, None),
        (BEFORE, BEFORE.drop(index="a")),
        (BEFORE, pd.concat([BEFORE, BEFORE])),
        (BEFORE.loc[["a"]], BEFORE.loc[["a"]]),
    ],
    ids=["no before", "no after", "other pictures", "twice", "one picture"],
)
def test_what_cannot_be_paired_has_no_gain(before, after):
    assert paired_gain(before, after) is None


def test_what_a_job_left_is_read_from_its_output(tmp_path):
    rows = "'a, b/1.jpg',x,y,0.5,0.25,1.25,false\nc/2.jpg,x,x,0.5,0.5,0.5,true\n"
    (tmp_path / "valid_predictions.csv").write_text(HEADER + rows.replace("'", '"'))
    with tarfile.open(tmp_path / "output.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "valid_predictions.csv", "valid_predictions.csv")
    platform: Any = fake_platform(store=lambda _: LocalStore(tmp_path))
    found = validation_of(platform, "s3://bucket/output.tar.gz")
    assert found is not None
    assert found.to_dict("index") == {
        "a, b/1.jpg": {"loss": 1.25, "correct": 0.0},
        "c/2.jpg": {"loss": 0.5, "correct": 1.0},
    }
    assert validation_of(platform, "s3://bucket/missing.tar.gz") is None


@pytest.mark.parametrize("text", [None, "", "path,loss\na,1\n", HEADER + "a,x,y,1,1,much,true\n"])
def test_a_job_of_another_version_tells_nothing(tmp_path: Path, text: str | None):
    if text is not None:
        (tmp_path / "valid_predictions.csv").write_text(text)
    assert read_validation(tmp_path) is None
