"""What a job wrote, brought home and published."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import obstore
import pytest
from prefect import flow

from flows.hooks import FLOW_POLICY
from platforms import Settings, connect
from platforms.archives import write_archive
from platforms.errors import DataError, WhippetError
from tasks.reports import (
    download_output,
    print_report,
    publish_run,
    publish_training,
    render_report,
)
from tasks.runs.output import unpack_output
from tasks.runs.progress import Progress
from tasks.runs.record import OUTPUT_FOLDER, read_run, run_folder
from tasks.runs.record_parts import TrainedModel
from tasks.runs.stages import stage
from tests.tasks.artifacts import artifacts
from tests.worlds.sample_output import write_output

# Called as Chromium is, and writes what counts as a PDF.
PRINTS = """#!/bin/sh
for word in "$@"; do case "$word" in --print-to-pdf=*) printf %%PDF- > "${word#*=}";; esac; done
"""
URI = "s3://whippet-local/jobs/j/output/output.tar.gz"


@pytest.fixture
def output(whippet_home, tmp_path) -> Path:
    """The output of a job, in the bucket; the folder that it was packed from."""
    folder = write_output(tmp_path / "o", samples=40, steps=40, mistakes=2, seconds=5)
    put(folder)
    return folder


def put(folder: Path) -> None:
    archive = folder.with_name("output.tar.gz")
    write_archive(folder, archive)
    store = connect().store("whippet-local")
    obstore.put(store, URI.removeprefix("s3://whippet-local/"), archive.read_bytes())


def test_an_output_is_replaced_by_a_complete_one_only(output, tmp_path):
    home = tmp_path / "l'été"
    unpack_output(connect(), URI, home)
    first = (home / OUTPUT_FOLDER / "evaluation.json").read_bytes()
    assert [path.name for path in home.iterdir()] == [OUTPUT_FOLDER]

    (output / "evaluation.json").unlink()
    put(output)
    unpack_output(connect(), URI, home)
    assert not (home / OUTPUT_FOLDER / "evaluation.json").exists()

    (output / "evaluation.json").write_bytes(first)
    archive = Settings().home / "s3" / URI.removeprefix("s3://")
    archive.write_bytes(archive.read_bytes()[:-900])
    with pytest.raises(WhippetError, match=r"output\.tar\.gz"):
        unpack_output(connect(), URI, home)
    assert (home / OUTPUT_FOLDER / "metrics.jsonl").exists(), "the older one is still there"
    archive.unlink()
    with pytest.raises(DataError, match="does not exist"):
        unpack_output(connect(), URI, home)
    assert (home / OUTPUT_FOLDER / "metrics.jsonl").exists()


@flow(**FLOW_POLICY)
def publishes(trained: TrainedModel):
    with stage("report") as run:
        download_output(run, trained)
        publish_training(run)
        path = render_report(run)
        return path, print_report(run), publish_run(run)


@pytest.mark.slow
def test_files_report_and_artifacts_of_a_run(prefect_server, output, tmp_path, monkeypatch):
    chromium = tmp_path / "chromium"
    chromium.write_text(PRINTS)
    chromium.chmod(0o755)
    monkeypatch.setenv("WHIPPET_CHROMIUM", str(chromium))
    trained = TrainedModel(
        job="j",
        model_data_uri="s3://b/m",
        output_uri=URI,
        test_uri="s3://b/test",
        metrics={},
        billable_seconds=1,
    )
    path, pdf, found = publishes.with_options(flow_run_name="été 1")(trained)
    folder = run_folder(Settings(), "été 1")
    assert pdf == read_run(Settings(), "été 1").pdf == str(folder / "report.pdf")
    assert (folder / "report.pdf").read_bytes() == b"%PDF-"
    assert path == str(folder / "report.html")
    page = (folder / "report.html").read_text("utf-8")
    assert "été 1" in page
    evaluation = json.loads((output / "evaluation.json").read_text("utf-8"))
    known = read_run(Settings(), "été 1")
    assert known.evaluation.accuracy == evaluation["accuracy"]
    assert known.report == path
    assert known.job.device == "cpu"
    assert found.evaluation == known.evaluation
    with (folder / "metrics.csv").open(encoding="utf-8") as file:
        assert {row["split"] for row in csv.DictReader(file)} == {"train", "valid", "test"}
    with (folder / "predictions.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 40
    for key in ("training-summary", "profiler-summary", "training-report", "run-summary"):
        assert artifacts(key), key
    assert f"{evaluation['accuracy']:.1%}" in str(artifacts("run-summary")[0])


@flow(**FLOW_POLICY)
def prints_only():
    with stage("report") as run:
        run_folder(Settings(), run.name).joinpath("report.pdf").write_bytes(b"old")
        return print_report(run)


@pytest.mark.slow
def test_a_pdf_that_fails_is_no_failure_and_leaves_no_older_one(
    prefect_server, whippet_home, monkeypatch
):
    monkeypatch.setenv("WHIPPET_CHROMIUM", "/nowhere/chromium")
    assert prints_only.with_options(flow_run_name="no pdf")() is None
    folder = run_folder(Settings(), "no pdf")
    assert not (folder / "report.pdf").exists()
    assert read_run(Settings(), "no pdf").pdf is None


@flow(**FLOW_POLICY)
def moves(steps: list[int], *, fails: bool):
    with Progress("moves") as progress:
        for done in steps:
            progress.of(done, 200)
        if fails:
            raise DataError("no")


@pytest.mark.slow
def test_progress_ends_at_all_of_it_unless_the_work_failed(prefect_server, whippet_home):
    moves([0, 100, 101], fails=False)
    assert artifacts("moves")[0] == 100.0
    with pytest.raises(DataError):
        # One of 200 more is not worth a request; less than before is never shown.
        moves([100, 101, 20], fails=True)
    assert artifacts("moves")[0] == 50.0


@pytest.mark.slow
def test_progress_of_nothing_is_complete(prefect_server, whippet_home):
    @flow
    def nothing():
        with Progress("nothing") as progress:
            progress.of(0, 0)
            progress.show(250)

    nothing()
    assert artifacts("nothing") == [100.0]
