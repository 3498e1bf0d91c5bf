from __future__ import annotations

import json

import pytest

from dashboards.files.frames import empty_training_output, read_training_output
from dashboards.report import write_report
from platforms.files import read_json, write_json
from tasks.report.content import (
    collect_report,
    headline,
    number,
    percent,
    run_markdown,
    training_markdown,
)
from tasks.runs.output import training_output
from tasks.runs.record import DATA_FILE, OUTPUT_FOLDER, SEARCH_FOLDER, TRIALS_JSON
from tasks.runs.record_parts import Evaluation
from tests.worlds.networks import networks_document, write_networks
from tests.worlds.packed_search import write_packed_search
from tests.worlds.run_records import best, deployed, record_values, run_record
from tests.worlds.sample_output import data_check, trial_summaries, write_output

RECORD = {
    **record_values("l'été <1>"),
    "seconds": {"sync": 1.25, "tune": 60.0},
    "jobs": {"training": "job-train"},
    "weights": {"source": "none: random initial weights"},
    "data": {"dataset": "clipart"},
    "parameters": {"data": {"path": "samples"}, "deployment": None},
}


def test_a_run_that_has_nothing_yet_has_a_report(awkward_path):
    report = collect_report(awkward_path, run_record("new"))
    assert report.data is report.trials is report.endpoint is report.best_hyperparameters is None
    assert report.overview == [("Time so far", "0 s")]
    write_report(awkward_path / "report.html", report)
    assert "new" in (awkward_path / "report.html").read_text("utf-8")


def test_a_report_holds_what_the_run_has(awkward_path):
    write_output(awkward_path / OUTPUT_FOLDER, samples=40, steps=40, mistakes=2, seconds=5)
    write_json(awkward_path / DATA_FILE, data_check())
    write_json(awkward_path / TRIALS_JSON, trial_summaries(3, failed=()))
    trial = best("job-001", hyperparameters={"lr": 0.01}, tuned=["lr"], edges={"lr": "upper"})
    run = run_record(**{**RECORD, "best": trial, "endpoint": deployed("e")})
    report = collect_report(awkward_path, run)
    overview = dict(report.overview)
    assert overview["Best trial"] == "job-001"
    assert overview["Training job"] == "job-train"
    assert overview["Weights"] == "none: random initial weights"
    assert overview["Data"] == "clipart"
    assert overview["Time so far"] == "61 s"
    evaluation = json.loads((awkward_path / OUTPUT_FOLDER / "evaluation.json").read_text("utf-8"))
    assert overview["Test accuracy"] == f"{evaluation['accuracy']:.1%}"
    assert report.warnings[-1] == (
        "The best lr is at the upper edge of its range: widen the range."
    )
    assert len(report.warnings) == len(data_check()["warnings"]) + 1
    assert report.configuration == {"data": {"path": "samples"}}
    assert report.best_hyperparameters == {"lr": 0.01}

    data = {"path": "/me/l'été", "path_typed": {"text": "./l'été/", "folder": "/me"}}
    report = collect_report(awkward_path, run_record(**{**RECORD, "parameters": {"data": data}}))
    assert report.configuration == {"data": {"path": "./l'été/"}}


def test_a_report_says_how_the_search_was_made_and_shows_its_curves(awkward_path):
    trials = [(0.1, [0.75, 0.5]), (0.2, [0.5, 0.25])]
    folder = write_packed_search(awkward_path / SEARCH_FOLDER, "s", trials)
    write_json(awkward_path / TRIALS_JSON, read_json(folder / "trials.json"))
    sentence = "The search is packed into one training job, because of <this>."
    search = {"strategy": "packed", "sentence": sentence}
    report = collect_report(awkward_path, run_record(**{**RECORD, "search": search}))
    assert dict(report.overview)["Search"] == "packed"
    assert report.trials is not None
    assert report.trials.histories["s-002-0a1b2c3d"]["valid:loss"].to_list() == [0.5, 0.25]
    write_report(awkward_path / "report.html", report)
    page = (awkward_path / "report.html").read_text("utf-8")
    assert "because of &lt;this&gt;. 2 trials, 2 with a result. Objective: valid:loss" in page
    assert 'id="tuning-learning"' in page


def test_a_report_says_why_this_network_and_goes_on_with_it(awkward_path):
    write_output(awkward_path / OUTPUT_FOLDER, samples=40, steps=40, mistakes=2, seconds=5)
    write_networks(awkward_path / SEARCH_FOLDER)
    parameters = {"data": {"path": "d"}, "model": {"architecture": "auto"}, "tuning": {}}
    network = {"network": "mobilenet_v2", "architecture": "mobilenet_v2", "among": 4}
    run = run_record(**{**RECORD, "parameters": parameters, "network": network})
    report = collect_report(awkward_path, run)
    assert report.networks == networks_document()
    assert dict(report.overview)["Network chosen"] == "mobilenet_v2, among 4"
    assert "ml.t2.medium" in report.endpoint_price.sentence
    write_report(awkward_path / "report.html", report)
    assert 'id="network"' in (awkward_path / "report.html").read_text("utf-8")
    # A change need not suit a choice: it is for the network that was chosen.
    commands = [line for _, line in report.commands]
    assert not any("auto" in line for line in commands)
    assert commands == [] or "--model mobilenet_v2" in commands[-1]
    (awkward_path / SEARCH_FOLDER / "networks.json").write_text("[]")
    assert collect_report(awkward_path, run).networks is None


def test_what_the_lint_found_is_looked_at_first(awkward_path):
    def finding(code):
        return {"code": code, "message": f"Seen: {code}.", "advice": "Do this."}

    record = {
        **RECORD,
        "best": best("j", edges={"lr": "upper"}),
        "lint": {"search": [finding("optimum-at-edge")], "training": [finding("rounded")]},
    }
    edge, lint = collect_report(awkward_path, run_record(**record)).warnings
    assert edge.startswith("The best lr is at the upper edge"), "said once"
    assert lint == "Seen: rounded. Do this."


@pytest.mark.parametrize(
    "missing",
    [
        "metrics.jsonl",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("evaluation.json", "predictions.csv", "training.json")
        ),
    ],
)
def test_an_output_that_lacks_a_file_still_has_its_summaries(awkward_path, missing):
    folder = write_output(awkward_path / OUTPUT_FOLDER, samples=40, steps=40, mistakes=2, seconds=5)
    (folder / missing).unlink()
    output = training_output(awkward_path)
    assert "# Training summary" in training_markdown(output)
    write_report(awkward_path / "report.html", collect_report(awkward_path, run_record(**RECORD)))
    assert (headline(output).accuracy is None) is (missing == "evaluation.json")


def test_summaries_of_a_job_that_left_nothing():
    output = empty_training_output()
    assert headline(output) == Evaluation(
        loss=None, accuracy=None, top5_accuracy=None, samples=None
    )
    assert "test accuracy" in training_markdown(output)


def test_summaries_show_the_numbers(awkward_path):
    folder = write_output(awkward_path / "output", samples=40, steps=40, mistakes=2, seconds=5)
    output = read_training_output(folder)
    text = training_markdown(output)
    assert percent(headline(output).accuracy) in text
    assert "data:image/svg+xml" in text


def test_the_summary_of_a_run():
    full = {
        **RECORD,
        "evaluation": {"accuracy": 0.5, "samples": 40},
        "report": "/r/report.html",
        "endpoint": deployed("e-1", "2026-11-01T12:00:00+00:00"),
    }
    text = run_markdown(run_record(**full))
    for part in ("l'été <1>", "50.0% of 40 images", "/r/report.html", "`e-1`", "60.0"):
        assert part in text
    assert "no test was run" in run_markdown(run_record(**RECORD)), "a run without a test says so"


def test_numbers():
    assert [percent(None), percent(0), percent(0.98765)] == ["-", "0.0%", "98.8%"]
    assert [number(None), number(0.000123456), number(1234.5)] == ["-", "0.0001235", "1234"]
